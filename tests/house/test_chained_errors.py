"""Errors of parsers are not chained to ours: they hold all of what they read, and logs would write it out."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "evals", "gateway", "control", "hum", "media", "storage")
#: What reads bytes or texts of others, and the errors that hold these.
PARSERS = frozenset(
    {
        "FromString",
        "MergeFromString",
        "ParseFromString",
        "b64decode",
        "decode",
        "fromstring",
        "iter_errors",
        "loads",
        "model_validate",
        "model_validate_json",
        "parse_qsl",
        "urlsafe_b64decode",
        "validate_json",
        "validate_python",
    }
)
#: The errors of SDKs, which hold the answer.
SDK_ERRORS = frozenset(
    {
        "APIStatusError",
        "MCPError",
        "OpenAIError",
        "StripeError",
        "TwilioException",
        "TwilioRestException",
        "TwilioServiceException",
    }
)
ERRORS = frozenset(
    {"Exception", "JSONDecodeError", "UnicodeDecodeError", "UnicodeError", "ValidationError", "ValueError"}
)


def chained(root: ast.AST) -> Iterator[int]:
    """Yield the lines at which a parser's error is chained to another."""
    for attempt in nodes(root, ast.Try):
        called = {
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for statement in attempt.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Call)
        }
        for handler in attempt.handlers:
            caught = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(handler.type or ast.Pass())}
            if caught & SDK_ERRORS or (caught & ERRORS and called & PARSERS):
                yield from (
                    node.lineno
                    for statement in handler.body
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Raise)
                    and node.exc is not None
                    and not (isinstance(node.cause, ast.Constant) and node.cause.value is None)
                )


def test_no_error_of_a_parser_is_chained() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if "hum/v1" not in str(path)
        for line in chained(tree(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("handler", "lines"),
    [
        ("except ValueError as error:\n        raise Bad from error", [6]),
        ("except ValueError:\n        raise Bad", [6]),
        ("except json.JSONDecodeError:\n        raise Bad", [6]),
        ("except (KeyError, ValueError):\n        raise Bad from None", []),
        ("except ValueError:\n        raise", []),
        ("except KeyError as error:\n        raise Bad from error", []),
        ("except stripe.StripeError as error:\n        raise Bad from error", [6]),
    ],
)
def test_a_chained_error_is_found(handler: str, lines: list[int]) -> None:
    assert list(chained(ast.parse(f"import json\n\ntry:\n        json.loads(text)\n{handler}"))) == lines
