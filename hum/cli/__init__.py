"""The command `hum`.  Starts the planes as programs of their own and speaks to them over the contract; imports none."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable

from sandbox.load import options as load_options

#: `hum <plane>` becomes this program; it is never forked from a process that has imported grpc.
PLANES = {
    "control": ("control.app", "control"),
    "worker": ("control.app", "worker"),
    "gateway": ("gateway.app",),
    "media": ("media.app",),
}
ROLES = ("viewer", "operator", "admin")


def main() -> None:
    """Parse the command line and do it; failures end with a sentence and a status."""
    asked = _parser().parse_args()
    sys.exit(asked.run(asked))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hum", description="An AI phone and text platform on your own machines.")
    commands = parser.add_subparsers(required=True, metavar="command")

    for plane in PLANES:
        command = _command(commands, plane, f"run the {plane} plane, as production does", _plane)
        command.set_defaults(plane=plane, options=())
        if plane == "media":
            command.add_argument("--workers", type=_workers, dest="options", help="processes that share the port")
    _command(commands, "up", "run the whole platform on this machine, until stopped", _up)
    _command(commands, "demo", "start everything, place one spoken call, show what came of it", _demo)

    migrate = _command(commands, "migrate", "bring the database up to date", _migrate)
    migrate.add_argument("--print-roles", action="store_true", help="the SQL that an administrator runs once")

    call = _command(commands, "call", "place a simulated call", _call)
    call.add_argument("--to", required=True, help="the number that is called, E.164")
    call.add_argument("--from", dest="from_", default="+13175550199", help="the caller's number, E.164")
    call.add_argument("--wav", action="append", default=[], metavar="FILE", help="what the caller says, in turn")
    call.add_argument("--say", action="append", default=[], metavar="TEXT", help="the same, spoken by a voice")
    call.add_argument("--json", action="store_true", help="print one JSON object instead of the events")

    load = _command(commands, "load", "place many simulated calls at once, and judge what callers lived through", _load)
    load.add_argument("--url", default="", help="the gateway; unset: the one that runs here")
    load_options.add_arguments(load)

    admin = commands.add_parser("admin", help="what an operator of the deployment does").add_subparsers(
        required=True, metavar="action"
    )
    org = _command(admin, "create-org", "make an organization", _create_org)
    org.add_argument("--name", required=True)
    org.add_argument("--owner-email", required=True, help="who signs in as its first admin")
    key = _command(admin, "create-api-key", "make an API key", _create_api_key)
    key.add_argument("--org", required=True, help="the organization's id")
    key.add_argument("--role", required=True, choices=ROLES)
    key.add_argument("--scopes", default="", help="comma-separated; none given: all")
    key.add_argument("--name", default="hum admin")
    _command(admin, "rebuild-analytics", "count the analytics anew, from the calls", _rebuild_analytics)
    assign = _command(admin, "assign-number", "give a number of the carrier account to an organization", _assign_number)
    assign.add_argument("--e164", required=True)
    assign.add_argument("--org", required=True, help="the organization's id")
    site = _command(admin, "make-site-admin", "let somebody administer the whole deployment", _make_site_admin)
    site.add_argument("--email", required=True)
    site.add_argument("--revoke", action="store_true", help="no longer")

    audit = commands.add_parser("audit", help="the audit log").add_subparsers(required=True, metavar="action")
    verify = _command(audit, "verify", "check an exported audit log, without a server", _verify_audit)
    verify.add_argument("file", help="what GET /api/audit-log/export answered; - reads standard input")
    verify.add_argument("--contains", default="", metavar="HASH", help="a hash written down earlier, still to be there")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    help: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help)
    command.set_defaults(run=run)
    return command


def _plane(asked: argparse.Namespace) -> int:
    command = [sys.executable, "-m", *PLANES[asked.plane], *asked.options]
    os.execv(sys.executable, command)  # noqa: S606 - becomes the plane


def _workers(text: str) -> tuple[str, str]:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("a number of processes, from 1")
    return "--workers", text


def _migrate(asked: argparse.Namespace) -> int:
    options = ["--print-roles"] if asked.print_roles else []
    os.execv(sys.executable, [sys.executable, "-m", "storage", "migrate", *options])  # noqa: S606 - becomes the program


def _up(_: argparse.Namespace) -> int:
    from hum.cli import up

    return asyncio.run(up.run())


def _demo(_: argparse.Namespace) -> int:
    from hum.cli import demo

    return asyncio.run(demo.run())


def _call(asked: argparse.Namespace) -> int:
    from hum.cli import call

    return asyncio.run(call.run(asked.to, asked.from_, asked.wav, asked.say, as_json=asked.json))


def _load(asked: argparse.Namespace) -> int:
    from hum.cli import load

    return asyncio.run(load.run(asked))


def _rebuild_analytics(_: argparse.Namespace) -> int:
    from hum.cli import admin

    return asyncio.run(admin.rebuild_analytics())


def _assign_number(asked: argparse.Namespace) -> int:
    from hum.cli import admin

    return asyncio.run(admin.assign_number(asked.e164, asked.org))


def _make_site_admin(asked: argparse.Namespace) -> int:
    from hum.cli import admin

    return asyncio.run(admin.make_site_admin(asked.email, site_admin=not asked.revoke))


def _verify_audit(asked: argparse.Namespace) -> int:
    from hum.cli import audit

    return audit.verify(asked.file, asked.contains)


def _create_org(asked: argparse.Namespace) -> int:
    from hum.cli import admin

    return asyncio.run(admin.create_org(asked.name, asked.owner_email))


def _create_api_key(asked: argparse.Namespace) -> int:
    from hum.cli import admin

    scopes = [scope.strip() for scope in asked.scopes.split(",") if scope.strip()]
    return asyncio.run(admin.create_api_key(asked.org, asked.role, scopes, asked.name))
