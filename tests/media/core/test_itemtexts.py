import pytest

from media.core.itemtexts import ItemText, up_to_word


def test_words_are_tied_to_the_audio_that_came_with_them() -> None:
    text = ItemText()
    for n, word in enumerate(("Good ", "morning ", "dear ", "caller")):
        text.add(word, n * 800)
    assert [text.heard(ms * 8, 3_200) for ms in (0, 60, 100, 250, 300, 399, 400)] == [
        "", "", "Good", "Good morning", "Good morning dear", "Good morning dear", "Good morning dear caller",
    ]  # fmt: skip


def test_text_that_came_all_at_once_is_spread_over_its_audio() -> None:
    text = ItemText()
    text.add("one two ", 0)
    text.add("three four", 0)
    assert text.heard(4_000, 8_000) == "one two"
    text.final("one two three four five")
    assert text.heard(8_000, 8_000).endswith("five")


@pytest.mark.parametrize(
    ("position", "text"), [(0, ""), (1, ""), (2, "ab"), (3, "ab"), (4, "ab"), (5, "ab cd"), (99, "ab cd")]
)
def test_never_half_a_word(position: int, text: str) -> None:
    assert up_to_word("ab cd", position) == text
