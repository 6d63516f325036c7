"""Settings: a wrong environment stops the process with messages that say what to do."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hum import settings
from hum.network import parse_listen
from hum.settings import ControlSettings, GatewaySettings, MediaSettings, UpSettings
from hum.settings import page as settings_page
from tests.support.programs import variables


class Started(NamedTuple):
    returncode: int | str | None
    stderr: str


Start = Callable[..., Started]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Start:
    """Begins as each program does, with the environment in the arguments alone."""

    def begin(**environment: str) -> Started:
        for name in os.environ:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        try:
            settings.load(UpSettings)
        except SystemExit as ended:
            return Started(ended.code, capsys.readouterr().err)
        return Started(0, "")

    return begin


def test_a_process_ends_with_the_reason_alone() -> None:
    code = "from hum import settings; settings.load(settings.UpSettings); print('ok')"
    environment = {"PATH": "/usr/bin", "HUM_MAX_CALLS": "many"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("hum: HUM_MAX_CALLS (")


def test_nothing_set_is_development(start: Start) -> None:
    assert start() == (0, "")


def test_every_problem_is_said_at_once(start: Start) -> None:
    done = start(HUM_MAX_CALLS="many", HUM_ENV="staging", HUM_GATEWAY_LISTNE="x", HUM_NOTHING="y")
    assert done.returncode == 2
    assert "HUM_MAX_CALLS (calls that one process carries; further calls are refused)" in done.stderr
    assert "HUM_ENV" in done.stderr
    assert "HUM_GATEWAY_LISTNE is not a setting; did you mean HUM_GATEWAY_LISTEN?" in done.stderr
    assert "HUM_NOTHING is not a setting" in done.stderr


def test_fields_are_not_read_by_their_own_names(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "ENV", "NODE", "LOG_LEVEL"):
        monkeypatch.setenv(name, "/somewhere")
    assert (str(UpSettings().home), UpSettings().env, UpSettings().node) == ("var", "development", "")
    assert "HUM_BY_NAME_HOME is not a setting" in start(HUM_BY_NAME_HOME="x").stderr


def test_an_empty_variable_is_an_unset_one(start: Start) -> None:
    assert start(HUM_MAX_CALLS="", OPENAI_API_KEY="") == (0, "")


def test_secrets_may_be_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Kubernetes mounts them: each name is a link to a file in a folder beside it."""
    (tmp_path / "..data").mkdir()
    for name, content in {"OPENAI_API_KEY": "sk-1\n", "HUM_NODE_KEY": "of the file", "TWILIO_AUTH_TOKEN": ""}.items():
        (tmp_path / "..data" / name).write_text(content)
        (tmp_path / name).symlink_to(Path("..data") / name)
    (tmp_path / "tls.crt").write_bytes(b"\xff")
    monkeypatch.setenv("HUM_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("HUM_NODE_KEY", "of the environment")
    read = UpSettings()
    assert (read.openai_api_key, read.node_key, read.twilio_auth_token) == ("sk-1", "of the environment", "")
    assert read.is_set("OPENAI_API_KEY") and not read.is_set("TWILIO_AUTH_TOKEN")


def test_all_but_the_named_settings_can_be_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret's file as well; what is no setting stays."""
    (tmp_path / "OPENAI_API_KEY").write_text("sk-file")
    (tmp_path / "TWILIO_AUTH_TOKEN").write_text("token")
    set_here = {"HUM_DATABASE_URL": "postgresql://production/hum", "HUM_VOICES": "marin", "PATH": "/bin"}
    monkeypatch.setattr(os, "environ", set_here | {"HUM_SECRETS_DIR": str(tmp_path)})
    settings.keep_only({"HUM_VOICES", "OPENAI_API_KEY"})
    assert os.environ == {"HUM_VOICES": "marin", "PATH": "/bin", "OPENAI_API_KEY": "sk-file"}
    assert not UpSettings().is_set("TWILIO_AUTH_TOKEN")


def test_wrong_files_stop_the_process(start: Start, tmp_path: Path) -> None:
    assert "No such file" in start(HUM_SECRETS_DIR=str(tmp_path / "nowhere")).stderr
    (tmp_path / "HUM_NODE_KYE").write_text("x")
    assert "HUM_NODE_KYE is not a setting; did you mean HUM_NODE_KEY?" in start(HUM_SECRETS_DIR=str(tmp_path)).stderr
    (tmp_path / "HUM_NODE_KYE").rename(tmp_path / "HUM_MAX_CALLS")
    assert "HUM_MAX_CALLS" in start(HUM_SECRETS_DIR=str(tmp_path)).stderr, "it is checked like any other"
    (tmp_path / "HUM_MAX_CALLS").write_bytes(b"1" * 70_000)
    done = start(HUM_SECRETS_DIR=str(tmp_path))
    assert done.returncode == 2 and "longer than" in done.stderr
    (tmp_path / "HUM_MAX_CALLS").write_bytes(b"\xff")
    assert "is not UTF-8" in start(HUM_SECRETS_DIR=str(tmp_path)).stderr


def test_every_setting_says_what_it_is() -> None:
    for name, field in settings.variables().items():
        assert field.description, name


def test_the_page_tells_the_truth() -> None:
    page = Path(__file__).parents[2] / "docs/settings.md"
    assert page.read_text() == settings_page.as_markdown(), "run `make docs`"


def test_constants_have_no_variables_and_settings_stay_few(start: Start) -> None:
    assert "HUM_SWEEP_SECONDS is not a setting" in start(HUM_SWEEP_SECONDS="1").stderr
    assert not settings.constants().keys() & {name.lower() for name in settings.variables()}
    assert len(settings.variables()) <= 83, "what an operator will not set is a constant: decision 90"


def test_constants_can_be_overridden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = variables(
        {"HUM_MAX_CALLS": 7, "sweep_seconds": 0.5, "console_dir": tmp_path / "a folder", "vad_confirm": False}
    )
    assert given.keys() == {"HUM_MAX_CALLS", "HUM_OVERRIDES"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    read = UpSettings(retention_seconds=1)
    assert (read.max_calls, read.sweep_seconds, read.vad_confirm) == (7, 0.5, False)
    assert read.console_dir == tmp_path / "a folder"
    assert read.overridden == ("sweep_seconds", "console_dir", "vad_confirm")
    assert UpSettings(sweep_seconds=2).sweep_seconds == 2, "what a program sets has precedence"
    assert variables({"HUM_HOME": tmp_path}) == {"HUM_HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sweep_second=1", "HUM_OVERRIDES: sweep_second is not a constant; did you mean sweep_seconds?"),
        ("max_calls=1", "HUM_OVERRIDES: max_calls is a setting; set HUM_MAX_CALLS"),
        ("sweep_seconds=soon", "HUM_OVERRIDES: sweep_seconds (seconds between a worker's sweeps): "),
        ("rate_burst=0", "HUM_OVERRIDES: rate_burst ("),
        ("sweep_seconds", "'sweep_seconds' is not one constant and its value"),
        ("sweep_seconds=1 sweep_seconds=2", "'sweep_seconds=2' is not one constant and its value"),
        ("console_dir='a", "HUM_OVERRIDES: No closing quotation"),
    ],
)
def test_wrong_overrides_stop_the_process(start: Start, text: str, why: str) -> None:
    done = start(HUM_OVERRIDES=text)
    assert done.returncode == 2
    assert why in done.stderr


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GatewaySettings().env = "production"


@pytest.mark.parametrize(
    ("given", "stand_ins"),
    [
        ({"openai_api_key": "sk-proj-1"}, []),
        ({"openai_api_key": "sk-proj-1", "twilio_api_base_url": "https://api.dublin.ie1.twilio.com"}, []),
        ({"openai_api_key": "sk-sandbox-1"}, ["model"]),
        ({"openai_api_key": "sk-proj-1", "twilio_api_base_url": "http://127.0.0.1:9000"}, ["carrier"]),
        ({"openai_api_key": "sk-sandbox-1", "twilio_api_base_url": "http://127.0.0.1:9000"}, ["carrier", "model"]),
        # a model of one's own is no stand-in
        ({"openai_api_key": "local", "openai_base_url": "http://127.0.0.1:8000/v1"}, []),
    ],
)
def test_stand_ins_are_known(given: dict[str, str], stand_ins: list[str]) -> None:
    assert ControlSettings(**given).stand_ins == stand_ins  # type: ignore[arg-type]


def test_rotating_tokens_are_a_list() -> None:
    assert MediaSettings(twilio_auth_token="new, old,").twilio_auth_tokens == ("new", "old")


def test_the_first_model_and_voice_are_the_defaults() -> None:
    given = MediaSettings(realtime_models="fast, good", voices="ash")
    assert (given.realtime_model, given.realtime_model_names) == ("fast", ("fast", "good"))
    assert (given.default_voice, given.voice_names) == ("ash", ("ash",))
    with pytest.raises(ValueError, match="at least one"):
        MediaSettings(voices=" ,")


def test_paces_of_accounts_and_numbers() -> None:
    given = ControlSettings(calls_per_second="2, AC1=5", text_segments_per_second="+13175550100=0.5")
    assert given.account_paces == (2.0, {"AC1": 5.0})
    assert given.text_paces == (1.0, {"+13175550100": 0.5})


@pytest.mark.parametrize("text", ["0", "fast", "AC1=", "=5", "AC1=-1", "1,AC1=1e9"])
def test_a_wrong_pace_stops_the_process(start: Start, text: str) -> None:
    done = start(HUM_CALLS_PER_SECOND=text)
    assert done.returncode == 2
    assert repr(text.rpartition(",")[2]) in done.stderr


@pytest.mark.parametrize(("text", "host", "port"), [("127.0.0.1:80", "127.0.0.1", 80), ("[::1]:0", "::1", 0)])
def test_listens(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == (host, port)
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize("text", ["80", "host:", "host:99999", ":80", "host:-1"])
def test_what_is_no_listen(text: str) -> None:
    with pytest.raises(ValueError):
        parse_listen(text)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8, 192.168.1.0/24", "10.0.0.0/8 192.168.1.0/24", "10.0.0.0/8,192.168.1.0/24,"]
)
def test_networks_that_customers_urls_may_reach(text: str) -> None:
    assert [str(each) for each in ControlSettings(egress_allow=text).egress_networks] == [
        "10.0.0.0/8",
        "192.168.1.0/24",
    ]
    assert ControlSettings().egress_networks == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "internal", "0.0.0.0/0", "10.0.0.0/8, ::/0"])
def test_a_wrong_network_stops_the_process(start: Start, text: str) -> None:
    done = start(HUM_EGRESS_ALLOW=text)
    assert done.returncode == 2
    assert "HUM_EGRESS_ALLOW" in done.stderr
    assert repr(text.rpartition(" ")[2]) in done.stderr


def test_up_knows_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "")
    given = UpSettings()
    assert given.is_set("OPENAI_BASE_URL")
    assert not given.is_set("TWILIO_ACCOUNT_SID")
