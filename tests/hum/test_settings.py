"""Settings: a wrong environment stops the process with messages that say what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from hum import settings, settingspage
from hum.settings import ControlSettings, GatewaySettings, MediaSettings, UpSettings, parse_listen


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    code = "from hum import settings; settings.load(settings.UpSettings); print('ok')"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_set_is_development() -> None:
    assert start().stdout == "ok\n"


def test_every_problem_is_said_at_once() -> None:
    done = start(HUM_MAX_CALLS="many", HUM_ENV="staging", HUM_GATEWAY_LISTNE="x", HUM_NOTHING="y")
    assert done.returncode == 2
    assert "HUM_MAX_CALLS (calls that one process carries; further calls are refused)" in done.stderr
    assert "HUM_ENV" in done.stderr
    assert "HUM_GATEWAY_LISTNE is not a setting; did you mean HUM_GATEWAY_LISTEN?" in done.stderr
    assert "HUM_NOTHING is not a setting" in done.stderr
    assert done.stdout == ""


def test_fields_are_not_read_by_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "ENV", "NODE", "LOG_LEVEL"):
        monkeypatch.setenv(name, "/somewhere")
    assert (str(UpSettings().home), UpSettings().env, UpSettings().node) == ("var", "development", "")
    assert "HUM_BY_NAME_HOME is not a setting" in start(HUM_BY_NAME_HOME="x").stderr


def test_an_empty_variable_is_an_unset_one() -> None:
    assert start(HUM_MAX_CALLS="", OPENAI_API_KEY="").stdout == "ok\n"


def test_every_setting_says_what_it_is() -> None:
    for name, field in settings.variables().items():
        assert field.description, name


def test_the_page_tells_the_truth() -> None:
    page = Path(__file__).parents[2] / "docs/settings.md"
    assert page.read_text() == settingspage.as_markdown(), "run `make docs`"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GatewaySettings().env = "production"  # type: ignore[misc]


def test_rotating_tokens_are_a_list() -> None:
    assert MediaSettings(twilio_auth_token="new, old,").twilio_auth_tokens == ("new", "old")


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
def test_a_wrong_network_stops_the_process(text: str) -> None:
    done = start(HUM_EGRESS_ALLOW=text)
    assert done.returncode == 2
    assert "HUM_EGRESS_ALLOW" in done.stderr
    assert repr(text.rpartition(" ")[2]) in done.stderr
    assert done.stdout == ""


def test_up_knows_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "")
    given = UpSettings()
    assert given.is_set("OPENAI_BASE_URL")
    assert not given.is_set("TWILIO_ACCOUNT_SID")
