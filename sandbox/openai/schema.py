"""Objects that satisfy a JSON Schema, made from the words of a text.  Pure, deterministic.

The text may be a transcript (lines "caller: ...", "agent: ..."): only the caller's lines are used.
"""

import re
from collections.abc import Mapping
from typing import Any

LINE = re.compile(r"^\s*(?P<who>caller|user|customer|agent|assistant|system)\s*:\s*(?P<text>.*)$", re.IGNORECASE)
CALLERS = frozenset({"caller", "user", "customer"})
MAILBOX = re.compile(r"^The caller left a message in the mailbox:\s*(?P<text>.*)$", re.MULTILINE)
ACTION = re.compile(r"\b(please|call me|need|want|would like|could you|can you|must|send me)\b", re.IGNORECASE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
PHONE = re.compile(r"\+?\d[\d ().-]{5,}\d")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
NAME = re.compile(r"(?:my name is|this is|i am|i'm)\s+(?P<name>[A-Z]\w+(?:\s+[A-Z]\w+)?)", re.IGNORECASE)
LABELS = (
    ("wrong_number", r"wrong number"),
    ("appointment", r"appointment|book|reservation|schedule"),
    ("callback", r"call me|call back|callback"),
)
FORMATS = {
    "date": "2026-01-01",
    "time": "09:00:00Z",
    "date-time": "2026-01-01T09:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
SUMMARY_SENTENCES = 3
MAX_DEPTH = 12
#: The pattern that only asks for more than white space.
NOT_BLANK = r"\S"


def fill(schema: Mapping[str, Any], text: str) -> Any:
    """Return a value for the schema.  Raises ValueError if the schema is nested too deep, e.g. by referring to itself."""
    return _Filler(schema, text).value(schema, "", 0)


def fill_object(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the arguments of a function whose parameters the schema describes."""
    filled = fill({"type": "object"} | dict(schema), text)
    return filled if isinstance(filled, dict) else {}


def caller_lines(text: str) -> str:
    """Return the caller's lines of a transcript; any other text as a whole."""
    lines = [match for line in text.splitlines() if (match := LINE.match(line))]
    if not lines:
        return text.strip()
    spoken = [match["text"].strip() for match in lines if match["who"].lower() in CALLERS]
    return "\n".join([*spoken, *(match["text"] for match in MAILBOX.finditer(text))])


def sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+|\n+", text) if sentence.strip()]


class _Filler:
    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._text = caller_lines(text)
        self._usual_label = "voicemail" if MAILBOX.search(text) else "resolved"
        self._sentences = sentences(self._text)

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"the schema is nested more than {MAX_DEPTH} deep")
        if not isinstance(schema, Mapping):
            return self._free_text(name)
        if "$ref" in schema:
            return self.value(self._resolve(str(schema["$ref"])), name, depth + 1)
        for choice in ("anyOf", "oneOf"):
            if schema.get(choice):
                return self.value(_merged(schema, choice, _first_real(schema[choice])), name, depth + 1)
        if schema.get("allOf"):
            whole: Mapping[str, Any] = schema
            for part in schema["allOf"]:
                whole = _merged(whole, "allOf", part)
            return self.value(whole, name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choose(schema["enum"])
        return self._typed(schema, name, depth)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match _type(schema):
            case "object":
                properties: dict[str, Any] = {required: {} for required in schema.get("required", ())} | schema.get(
                    "properties", {}
                )
                return {member: self.value(part, member, depth + 1) for member, part in properties.items()}
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                return self._number(schema)
            case "boolean":
                words = [word for word in re.split(r"[^a-z]+", name.lower()) if len(word) > 2]
                return bool(words) and all(word in self._text.lower() for word in words)
            case "null":
                return None
            case _:
                return self._string(schema, name)

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        items = schema.get("items", {})
        low, high = schema.get("minItems", 0), schema.get("maxItems", 20)
        if _is_free_text(items):
            actions = [sentence for sentence in self._sentences if ACTION.search(sentence)]
            texts = [
                _fit_length(sentence, items) for sentence in (actions if "action" in name.lower() else self._sentences)
            ]
            texts = list(dict.fromkeys(texts))[:high]
            return [*texts, *(_fit_length(f"{name or 'item'} {at}", items) for at in range(len(texts), low))]
        if isinstance(items, Mapping) and items.get("enum"):
            values = [value for value in items["enum"] if self._occurs(value)][:high]
            return values + [items["enum"][0]] * (low - len(values))
        return [self.value(items, name, depth + 1) for _ in range(max(low, min(1, high)))]

    def _number(self, schema: Mapping[str, Any]) -> float | int:
        spoken = NUMBER.search(self._text)
        value = float(spoken.group()) if spoken else 0.0
        step = schema.get("multipleOf") or (1 if _type(schema) == "integer" else None)
        low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        nudge = step or 1e-3
        low = max(low, schema.get("exclusiveMinimum", float("-inf")) + nudge)
        high = min(high, schema.get("exclusiveMaximum", float("inf")) - nudge)
        value = min(max(value, low), high)
        if step:
            value = -(-value // step) * step if value == low else value // step * step
        return int(value) if _type(schema) == "integer" or value == int(value) else value

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if (pattern := schema.get("pattern")) not in {None, NOT_BLANK}:
            return self._matching(str(pattern))
        if schema.get("format") in FORMATS:
            spoken = EMAIL.search(self._text) if schema["format"] == "email" else None
            return spoken.group() if spoken else FORMATS[schema["format"]]
        return _fit_length(self._free_text(name), schema)

    def _free_text(self, name: str) -> str:
        key = name.lower()
        if key == "label":
            return next(
                (label for label, clue in LABELS if re.search(clue, self._text, re.IGNORECASE)), self._usual_label
            )
        for clue, pattern in (("mail", EMAIL), ("phone", PHONE), ("number", PHONE), ("name", NAME)):
            if clue in key and (match := pattern.search(self._text)):
                return match.groupdict().get("name", match.group()).strip()
        if key in {"text", "summary"}:
            return " ".join(self._sentences[:SUMMARY_SENTENCES])
        return self._sentences[0] if self._sentences else ""

    def _matching(self, pattern: str) -> str:
        """Return something in the text that matches, or "", since a match cannot be invented."""
        for piece in (self._text, *self._sentences, *self._text.split(), *FORMATS.values(), "a", "0", ""):
            if (match := re.search(pattern, piece)) and re.search(pattern, match.group()):
                return match.group()
        return ""

    def _choose(self, values: list[Any]) -> Any:
        return next((value for value in values if self._occurs(value)), values[0])

    def _occurs(self, value: Any) -> bool:
        words = str(value).replace("_", " ").lower()
        return bool(words) and re.search(rf"\b{re.escape(words)}\b", self._text.lower()) is not None

    def _resolve(self, reference: str) -> Any:
        node: Any = self._root
        for part in reference.lstrip("#/").split("/") if reference != "#" else ():
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "string"
    type = schema.get("type")
    if isinstance(type, list):
        return next((str(choice) for choice in type if choice != "null"), "null")
    if type is not None:
        return str(type)
    return "object" if "properties" in schema else "string"


def _is_free_text(schema: Any) -> bool:
    """Return whether any sentence is valid."""
    constraints = {"enum", "const", "format", "pattern", "$ref", "anyOf", "oneOf", "allOf"}
    return _type(schema) == "string" and not (isinstance(schema, Mapping) and constraints & schema.keys())


def _first_real(choices: list[Any]) -> Any:
    return next((choice for choice in choices if _type(choice) != "null"), choices[0])


def _merged(schema: Mapping[str, Any], without: str, part: Any) -> Mapping[str, Any]:
    rest = {name: value for name, value in schema.items() if name != without}
    if not isinstance(part, Mapping):
        return rest
    properties = {**rest.get("properties", {}), **part.get("properties", {})}
    required = [*rest.get("required", ()), *part.get("required", ())]
    return {**rest, **part} | ({"properties": properties, "required": required} if properties else {})


def _fit_length(text: str, schema: Any) -> str:
    limits = schema if isinstance(schema, Mapping) else {}
    return text[: limits.get("maxLength", len(text))].ljust(limits.get("minLength", 0), ".")
