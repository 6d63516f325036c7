"""Who may call what, read from the contract's own options: the page docs/authorization.md.

    python -m hum.authorization > docs/authorization.md

A test calls every method as everybody and holds the answers against `may`.
"""

import sys
from enum import StrEnum

import google.api.annotations_pb2 as annotations
from google.protobuf.descriptor import MethodDescriptor

from hum.services import services
from hum.v1 import options_pb2


class Caller(StrEnum):
    """Everybody there is, from nobody to another plane."""

    NOBODY = "nobody"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    ADMIN_KEY = "admin's key"
    NARROW_KEY = "key without the scope"
    GUEST = "person without organization"
    SITE_ADMIN = "site admin"
    NODE = "another plane"


ROLES = (Caller.VIEWER, Caller.OPERATOR, Caller.ADMIN)
PEOPLE = {*ROLES, Caller.GUEST, Caller.SITE_ADMIN}


def access_of(method: MethodDescriptor) -> options_pb2.Access:
    """What a method's access option says."""
    access: options_pb2.Access = method.GetOptions().Extensions[options_pb2.access]
    return access


def may(method: MethodDescriptor) -> set[Caller]:
    """Who is let in."""
    access = access_of(method)
    if access.audience == options_pb2.AUDIENCE_NODE:
        return {Caller.NODE}
    if access.scope == "site:admin":
        return {Caller.SITE_ADMIN}
    if access.audience == options_pb2.AUDIENCE_SIGNED_IN:
        return PEOPLE if access.session_only else PEOPLE | {Caller.ADMIN_KEY, Caller.NARROW_KEY}
    # A site admin as such belongs to no organization: what is in one is its members'.
    return {*ROLES[access.role - 1 :], Caller.ADMIN_KEY}


def page() -> str:
    """The table as Markdown."""
    lines = [
        "# Who may call what",
        "",
        "Made by `python -m hum.authorization` from the options in `proto/`; a test calls every method as every one of these",
        "and compares. A key has its role's rights within its scopes; writing a scope includes reading it.",
        "",
        f"| method | REST | scope | {' | '.join(Caller)} |",
        f"| --- | --- | --- | {' | '.join('---' for _ in Caller)} |",
    ]
    for service in services():
        for method in service.methods:
            marks = ("yes" if caller in may(method) else "" for caller in Caller)
            scope = access_of(method).scope
            lines.append(
                f"| {service.name}.{method.name} | {_rest(method)} | {f'`{scope}`' if scope else ''} | "
                f"{' | '.join(marks)} |"
            )
    return "\n".join(lines) + "\n"


def _rest(method: MethodDescriptor) -> str:
    rule = method.GetOptions().Extensions[annotations.http]
    verb = rule.WhichOneof("pattern")
    return f"`{verb.upper()} {getattr(rule, verb)}`" if verb else ""


if __name__ == "__main__":
    sys.stdout.write(page())
