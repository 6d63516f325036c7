"""The account's numbers over restarts of the stand-in."""

from pathlib import Path

from sandbox.twilio.numbers import NumberBook


def test_what_was_bought_and_set_is_there_again(tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    book = NumberBook(["+13175550100"], file)
    bought = book.add("+13175550103")
    bought.configure({"voice_url": "https://hum.example/voice", "friendly_name": "Front desk"})
    book.keep()
    again = NumberBook(["+13175550100", "+13175550101"], file)
    assert [number.e164 for number in again] == ["+13175550100", "+13175550103", "+13175550101"]
    kept = again.get(bought.sid)
    assert kept == bought and again.find("+13175550103") is kept and kept is not bought
    again.remove(bought.sid)
    again.keep()
    assert NumberBook((), file).find("+13175550103") is None


def test_a_file_that_is_none_is_an_empty_book(tmp_path: Path) -> None:
    (tmp_path / "numbers.json").write_text("{")
    assert [each.e164 for each in NumberBook(["+13175550100"], tmp_path / "numbers.json")] == ["+13175550100"]
