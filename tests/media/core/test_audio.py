import pytest

from media.core import audio


def test_every_byte_survives_the_way_to_linear_and_back() -> None:
    every = bytes(range(256))
    assert audio.from_linear(audio.to_linear(every)) == every.replace(b"\x7f", b"\xff")  # two zeros, one stays


def test_levels() -> None:
    assert audio.level_db(audio.silence(20)) == audio.SILENT_DB == audio.level_db(b"")
    assert audio.level_db(b"\x80" * 160) == pytest.approx(-0.2, abs=0.1)
    assert audio.level_db(b"\x90" * 160) == pytest.approx(-6.2, abs=0.2)


def test_sizes() -> None:
    assert len(audio.silence(20)) == audio.FRAME_BYTES
    assert audio.to_ms(167) == 20


def test_two_channels_are_padded_to_one_length() -> None:
    assert audio.interleave(b"ab", b"xyz") == b"axby\xffz"
