"""`hum admin delete-org` asks for the organization's name, unless it is given."""

import pytest

from cli import _parser, admin

QUESTION = "Everything of it will be gone for good. The organization's name: "


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What control is asked to delete."""
    found: list[tuple[str, str]] = []

    async def delete_org(org: str, name: str) -> int:
        found.append((org, name))
        return 0

    monkeypatch.setattr(admin, "delete_org", delete_org)
    return found


def run(*options: str) -> int:
    arguments = _parser().parse_args(["admin", "delete-org", "--org", "org_1", *options])
    result: int = arguments.run(arguments)
    return result


def test_it_asks_for_the_name(asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    questions = list[str]()

    def answer(question: str) -> str:
        questions.append(question)
        return "Clinic"

    monkeypatch.setattr("builtins.input", answer)
    assert run() == 0
    assert (questions, asked) == ([QUESTION], [("org_1", "Clinic")])


def test_a_name_that_is_given_is_not_asked_for(asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it asks"))
    assert run("--yes", "Clinic") == 0
    assert asked == [("org_1", "Clinic")]


@pytest.mark.parametrize("answered", ["", "nothing"])
def test_nothing_is_deleted_without_a_name(
    answered: str, asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(_: str) -> str:
        if answered == "nothing":
            raise EOFError
        return answered

    monkeypatch.setattr("builtins.input", answer)
    assert run() == 1 and asked == []
    assert "nothing is deleted" in capsys.readouterr().err
