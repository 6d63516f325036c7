"""The file of cascades: what it says, and what is wrong with it."""

from pathlib import Path

import pytest

from hum import cascadefile, cascades
from hum.cascades import BadCascades

CLINIC = """
[[cascades.clinic.ears]]
url = "https://ears.example/v1/"
model = "whisper"
key = "EARS_KEY"

[[cascades.clinic.mind]]
url = "http://10.0.0.5:8000/v1"
model = "qwen"
extra = { reasoning_effort = "none" }

[[cascades.clinic.mind]]
url = "https://mind.example/v1"
model = "spare"
key = "MIND_KEY"

[[cascades.clinic.mouth]]
url = "http://10.0.0.5:8880/v1"
model = "kokoro"
voice = "heart"

[cascades.clinic.turn]
tool_ms = 700
silence_ms = { high = 400 }
"""


def test_a_file_is_read_with_its_fallbacks_in_order() -> None:
    file = cascades.parse(CLINIC)
    assert cascades.models(file) == ("cascade:clinic",)
    clinic = file["clinic"]
    assert [stage.model for stage in clinic.mind] == ["qwen", "spare"]
    assert clinic.mind[0].extra == {"reasoning_effort": "none"}
    assert (clinic.mouth[0].voice, clinic.mouth[0].rate) == ("heart", 24_000)
    assert (clinic.turn.tool_ms, clinic.turn.silence_ms.high, clinic.turn.silence_ms.low) == (700, 400, 2_000)
    assert clinic.variables == {"EARS_KEY", "MIND_KEY"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('model = "whisper"', "model = whisper", "Invalid value (at line 4, column 9)"),
        ('model = "whisper"', "", "cascades.clinic.ears[0]: Object missing required field `model`"),
        ('model = "whisper"', "model = 3", "cascades.clinic.ears[0].model: Expected `str`, got `int`"),
        ('voice = "heart"', "", "cascades.clinic.mouth[0]: Object missing required field `voice`"),
        ('voice = "heart"', 'voice = "heart"\nspeed = 2', "cascades.clinic.mouth[0]: Object contains unknown field"),
        ('voice = "heart"', 'voice = "heart"\nrate = 1', "cascades.clinic.mouth[0].rate: Expected `int` >= 8000"),
        ('voice = "heart"', "voice = {}", "cascades.clinic.mouth[0].voice: Expected `object` of length >= 1"),
        ('voice = "heart"', 'voice = { english = "heart" }', "cascades.clinic.mouth[0].voice"),
        ('voice = "heart"', 'voice = { en = "" }', "cascades.clinic.mouth[0].voice"),
        (
            "https://ears.example",
            "ftp://ears.example",
            "cascades.clinic.ears[0]: 'ftp://ears.example/v1/' is not a URL",
        ),
        ("https://ears.example", "https://a:secret@ears.example", "cascades.clinic.ears[0]: `url` has a password"),
        ('"EARS_KEY"', '"sk-secret"', "cascades.clinic.ears[0].key: Expected `str` matching regex"),
        ('"EARS_KEY"', '"HUM_NODE_KEY"', "cascades.clinic.ears[0]: `key` names a variable of HUM"),
        ("tool_ms = 700", "tool_ms = 1", "cascades.clinic.turn.tool_ms: Expected `int` >= 100"),
        ("high = 400", "eager = 400", "cascades.clinic.turn.silence_ms: Object contains unknown field `eager`"),
        ("[cascades.clinic.turn]", "[server]", "server: the file has `cascades` alone"),
        ("[cascades.clinic.turn]", '[cascades."A b"]\n[cascades.clinic.turn]', "cascades.A b: a name has up to 40"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_without_secrets(before: str, after: str, message: str) -> None:
    assert before in CLINIC
    with pytest.raises(BadCascades) as raised:
        cascades.parse(CLINIC.replace(before, after))
    assert str(raised.value).startswith(message)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "cascades = 3", "[cascades]"])
def test_a_file_without_a_cascade_is_refused(text: str) -> None:
    with pytest.raises(BadCascades, match="cascades: there must be 1 to 50"):
        cascades.parse(text)


def test_too_many_stages_are_refused() -> None:
    stage = '[[cascades.clinic.ears]]\nurl = "http://x/v1"\nmodel = "m"\n'
    with pytest.raises(BadCascades, match=r"cascades\.clinic\.ears: Expected `array` of length <= 5"):
        cascades.parse(CLINIC + stage * 5)


def test_no_file_has_no_cascades_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    assert cascadefile.read(None) == {}
    file = tmp_path / "cascades.toml"
    file.write_bytes(b"\xff")
    with pytest.raises(BadCascades, match="not UTF-8"):
        cascadefile.read(file)
    file.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(BadCascades, match="larger than 1 MiB"):
        cascadefile.read(file)
    with pytest.raises(SystemExit):
        cascadefile.require(tmp_path / "missing.toml")


def test_models_that_name_a_cascade_are_told_from_others() -> None:
    assert cascades.name_of("cascade:clinic") == "clinic"
    assert cascades.name_of("gpt-realtime") is None


def test_a_mouth_speaks_the_languages_that_it_has_voices_for() -> None:
    voices = 'voice = { en = "heart", es = "dora" }'
    spare = '[[cascades.clinic.mouth]]\nurl = "http://x/v1"\nmodel = "spare"\nvoice = { de = "anna" }\n'
    clinic = cascades.parse(CLINIC.replace('voice = "heart"', voices) + spare)["clinic"]
    first, second = clinic.mouth
    assert (first.voice_for("es"), first.voice_for("de"), second.voice_for("de")) == ("dora", None, "anna")
    assert first.voice_for("") == "heart", "of a call without a language, the first"
    assert clinic.speaks("es-MX") and clinic.speaks("de") and clinic.speaks("EN-us") and not clinic.speaks("fr")
    assert clinic.languages == ["de", "en", "es"]
    any_voice = cascades.parse(CLINIC)["clinic"]
    assert any_voice.speaks("fr") and any_voice.languages == []
