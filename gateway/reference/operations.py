"""The operations of the OpenAPI document, with references to shared answers resolved."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Schema = dict[str, Any]

JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
#: Words of operations' names that are not written in lower case.
SPELLED: Final = {"api": "API", "org": "organization"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb of one path.  `spec` is the operation in the document; `title` is its `name` in words."""

    name: str
    title: str
    verb: str
    path: str
    tag: str
    spec: Schema

    @property
    def success(self) -> tuple[int, Schema]:
        """The status and the answer of success."""
        return next((int(status), answer) for status, answer in self._answers() if status.startswith("2"))

    @property
    def failures(self) -> list[tuple[int, str]]:
        """The status and meaning of each error."""
        return [(int(status), answer["description"]) for status, answer in self._answers() if status[0] in "45"]

    @property
    def contents(self) -> Schema:
        """The media types of the answer, with their contents."""
        media_types: Schema = self.success[1].get("content", {})
        return media_types

    @property
    def bodies(self) -> Schema:
        """The media types of the body, with their contents."""
        media_types: Schema = self.spec.get("requestBody", {}).get("content", {})
        return media_types

    @property
    def for_people(self) -> bool:
        """Whether only a person's session may call it."""
        return bool(self.spec.get("security")) and all(
            "session" in requirement for requirement in self.spec["security"]
        )

    def takes(self, parameter: str) -> bool:
        return any(spec["name"] == parameter for spec in self.spec["parameters"])

    def _answers(self) -> Sequence[tuple[str, Schema]]:
        return list(self.spec["responses"].items())


def operations(document: Schema) -> list[Operation]:
    """Return all operations, in the document's order."""
    shared = document["components"]["responses"]
    all_operations = []
    for path, verbs in document["paths"].items():
        for verb, spec in verbs.items():
            answers = {status: _resolved(answer, shared) for status, answer in spec["responses"].items()}
            name = spec["operationId"]
            all_operations.append(
                Operation(name, _title(name), verb.upper(), path, spec["tags"][0], {**spec, "responses": answers})
            )
    return all_operations


def _resolved(answer: Schema, shared: Schema) -> Schema:
    resolved: Schema = shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
    return resolved


def _title(name: str) -> str:
    """Return an operation's name in words: `listApiKeys` as "List API keys"."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)]
    sentence = " ".join(SPELLED.get(word, word) for word in words)
    return sentence[0].upper() + sentence[1:]
