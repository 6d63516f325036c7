"""YAML with the line of each value, so that a refusal can say where.  Pure, but for the text that it is given."""

from collections.abc import Mapping
from typing import Any

import yaml

MAX_VALUES = 50_000

#: Of `libyaml` where it is there: ten times as fast.
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[str | int, ...]


class BadYaml(ValueError):  # noqa: N818  (it says what is bad)
    """A text that is no YAML, or has a key twice; `line` is from 1."""

    def __init__(self, sentence: str, line: int) -> None:
        super().__init__(sentence)
        self.line = line


def read(text: str) -> tuple[Any, Mapping[Place, int]]:
    """Return the values, and the line of each by its path.  Raises BadYaml."""
    loader = LOADER(text)
    lines: dict[Place, int] = {}
    try:
        _bound(text)
        node = loader.get_single_node()
        return (None if node is None else _value(loader, node, (), lines)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip("\n").count("\n")) + 1 if mark else 1
        raise BadYaml(error.problem or "this is no YAML", line) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, BadYaml):
            raise
        raise BadYaml(f"this is no YAML: {error}", 1) from error
    finally:
        loader.dispose()


def _bound(text: str) -> None:
    """Refuse a file of too many values before they are built."""
    for number, event in enumerate(yaml.parse(text, Loader=LOADER)):
        # A mapping has two events besides those of its members.
        if number > 4 * MAX_VALUES:
            raise BadYaml(f"more than {MAX_VALUES} values", event.start_mark.line + 1 if event.start_mark else 1)


def _value(loader: yaml.SafeLoader, node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    # An alias of an alias of an alias multiplies.
    if len(lines) > MAX_VALUES:
        raise BadYaml(f"more than {MAX_VALUES} values", line)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                raise BadYaml(f"{key!r} stands here twice; remove one", key_node.start_mark.line + 1)
            lines[(*place, key)] = key_node.start_mark.line + 1
            found[key] = _value(loader, value_node, (*place, key), lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, index), lines) for index, item in enumerate(node.value)]
    return loader.construct_object(node)
