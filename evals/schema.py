"""The JSON Schema of a file of scenarios, for editors and generators; `make docs` writes it.

It is derived from the parser's own model.  What relates several keys, such as more passes than runs, only the parser refuses.
"""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from evals.scenario import POSITIVE, Scenario


def schema() -> dict[str, Any]:
    """Return the schema."""
    made = TypeAdapter(list[Scenario]).json_schema()
    expectation = made["$defs"]["Expectation"]
    # Each key is optional in the model, and none may be null in a file.
    for name, value in expectation["properties"].items():
        (wanted,) = (part for part in value.pop("anyOf") if part != {"type": "null"})
        value.pop("default")
        expectation["properties"][name] = value | wanted
    expectation |= {"minProperties": 1, "maxProperties": 1}
    scenario = made["$defs"]["Scenario"]
    scenario["properties"]["expect"]["contains"] = {"anyOf": [{"required": [name]} for name in POSITIVE]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Scenarios of hum eval", **made}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
