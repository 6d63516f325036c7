"""docs/contract.md lists exactly the routes that exist, and who may call them."""

import re
from pathlib import Path

from gateway import contract
from hum.v1 import options_pb2

PAGE = Path(__file__).parents[2] / "docs/contract.md"


def test_the_page_lists_what_stands() -> None:
    documented = set(
        re.findall(r"^\| (GET|POST|PATCH|DELETE) \| `(\S+)` \| (\w+) \| (\S*) ?\|$", PAGE.read_text(), re.MULTILINE)
    )
    stands = set()
    for binding in contract.bindings():
        access = binding.method.GetOptions().Extensions[options_pb2.access]
        anybody = "person" if access.session_only else "any"
        role = options_pb2.Role.Name(access.role).removeprefix("ROLE_").lower() if access.role else anybody
        stands.add((binding.verb, binding.path, role, access.scope))
    assert documented == stands


def test_a_path_and_a_verb_have_one_rpc() -> None:
    seen = [(binding.verb, binding.path) for binding in contract.bindings()]
    assert len(seen) == len(set(seen))
