"""The command `hum`, which starts the planes as separate processes and calls them over the contract; it imports none."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from hum.process import private
from hum.process.release import release
from hum.refusal import refuse
from sandbox.load import options as load_options

#: `hum <plane>` execs this program, so that it is never forked from a process that has imported grpc.
PLANES = {
    "control": ("control.app", "control"),
    "worker": ("control.app", "worker"),
    "gateway": ("gateway.app",),
    "media": ("media.app",),
    "voice": ("voice.app",),
}
ROLES = ("viewer", "operator", "admin")
INTERRUPTED = 130  # the same as shells'
#: Calls of `hum eval` beside each other, and the most minutes of its budget: a week.
MOST_JOBS, MOST_MINUTES = 16, 10_080
MAX_LISTED = 200  # the limit of ListOrganizations
MAX_QUARANTINED = 1_000  # the limit of ListSetAside


def main() -> None:
    """Parse the command line and run the command; failures end with a message and a status."""
    os.umask(private.UMASK)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # some supervisors close it
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - to the end
    arguments = _parser().parse_args()
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


class _CommandParser(argparse.ArgumentParser):
    """A parser that reports errors in one sentence."""

    def error(self, message: str) -> NoReturn:
        refuse(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _CommandParser(prog="hum", description="An AI phone and text platform on your own machines.")
    parser.add_argument("--version", action="version", version=f"hum {release()}")
    commands = parser.add_subparsers(required=True, metavar="command")

    for plane in PLANES:
        command = _command(commands, plane, f"run the {plane} plane, as production does", _plane)
        command.set_defaults(plane=plane, options=(), flags=[])
        if plane in {"gateway", "media", "voice"}:
            command.add_argument("--workers", type=_workers, dest="options", help="processes that share the port")
        if plane == "media":
            _add_flag(command, "--handover", "receive the port and the live calls of the process that serves here")
            _add_flag(command, "--browser", "take calls from browsers, and none of the carrier's")
    up = _command(commands, "up", "run the whole platform on this machine, until stopped", _up)
    up.add_argument("--replace", action="store_true", help="take the place of the one that runs; its calls go on")
    demo = _command(commands, "demo", "start everything, place one spoken call, and show the result", _demo)
    demo.add_argument(
        "--keep",
        type=_seconds,
        metavar="SECONDS",
        help="let everything run on for so long, to look at the result; default: 600 on a terminal, else 0",
    )

    doctor = _command(
        commands, "doctor", "look at everything that HUM needs, and say how to fix what is wrong", _doctor
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON array instead of lines")

    _add_database(commands)
    call = _command(commands, "call", "place a simulated call", _call)
    call.add_argument("--to", required=True, help="the number to call, E.164")
    call.add_argument("--from", dest="from_", default="+13175550199", help="the caller's number, E.164")
    call.add_argument(
        "--wav", action="append", default=[], metavar="FILE", help="what the caller says; repeat for further lines"
    )
    call.add_argument(
        "--say", action="append", default=[], metavar="TEXT", help="the same as text, spoken by a synthetic voice"
    )
    call.add_argument("--json", action="store_true", help="print one JSON object instead of the events")

    text = _command(commands, "text", "send a simulated text, and print what is answered", _text)
    text.add_argument("to", help="the number to text, E.164")
    text.add_argument("words", help="what the text says")
    text.add_argument("--from", dest="from_", default="+13175550199", help="the handset's number, E.164")

    load = _command(commands, "load", "place many simulated calls at once, and check what callers experienced", _load)
    load.add_argument("--url", default="", help="URL of the gateway; default: the one running on this machine")
    load_options.add_arguments(load)

    _add_eval(commands)
    _add_admin(commands)
    audit = commands.add_parser("audit", help="the audit log").add_subparsers(required=True, metavar="action")
    verify = _command(audit, "verify", "check an exported audit log, without a server", _verify_audit)
    verify.add_argument("file", help="the output of GET /api/audit-log/export; - reads standard input")
    verify.add_argument(
        "--contains", default="", metavar="HASH", help="a hash recorded earlier that the log must contain"
    )
    return parser


def _add_eval(commands: "argparse._SubParsersAction[_CommandParser]") -> None:
    evaluation = commands.add_parser("eval", help="test agents with simulated callers")
    actions = evaluation.add_subparsers(required=True, metavar="action")
    evaluated = _command(actions, "run", "run scenarios on a platform of their own", _evaluate)
    evaluated.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    evaluated.add_argument(
        "--jobs", type=_job_count, default=1, metavar="N", help="calls beside each other; default: 1"
    )
    _add_evaluation(evaluated)
    compared = _command(actions, "compare", "compare two versions of a flow in the same scenarios", _compare)
    compared.add_argument("--against", metavar="FILE", required=True, help="the flow that it is compared with")
    _add_evaluation(compared)
    shown = _command(actions, "show", "write a page of runs, to read and to hear", _show)
    shown.add_argument("--out", metavar="FILE", help="the page; default: beside the runs, with the suffix .html")
    shown.add_argument("file", metavar="FILE", help="runs, as --out of run and compare has written them")


def _add_evaluation(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", metavar="TEXT", default="", help="only scenarios with this in their name")
    command.add_argument("--flow", metavar="FILE", help="test this flow instead of the scenarios' own")
    command.add_argument("--budget", type=_minutes, metavar="MINUTES", help="place no call that could end later")
    command.add_argument(
        "--out", metavar="FILE", help="append each run as JSON; those in it that have a verdict are not run again"
    )
    command.add_argument("--seed", type=int, default=1, help="of the callers' pauses and noise; default: 1")
    command.add_argument("files", nargs="+", metavar="FILE", help="scenarios, as YAML")


def _add_database(commands: "argparse._SubParsersAction[_CommandParser]") -> None:
    migrate = _command(commands, "migrate", "bring the database up to date", _migrate)
    migrate.add_argument("--print-roles", action="store_true", help="print the SQL that an administrator runs once")
    migrate.add_argument("--restored", action="store_true", help="a backup was restored: look before sending again")

    for name, help in (
        ("backup", "copy the database of `hum up`, recordings and keys to a new directory, while everything runs"),
        ("restore", "restore what `hum backup` copied, into an empty HUM_HOME"),
    ):
        command = _command(commands, name, help, _backup)
        command.add_argument("folder", metavar="FOLDER", help="the directory of the backup")
        command.set_defaults(program=name)


def _add_admin(commands: "argparse._SubParsersAction[_CommandParser]") -> None:
    admin = commands.add_parser("admin", help="operator commands").add_subparsers(required=True, metavar="action")
    org = _command(admin, "create-org", "create an organization", _create_org)
    org.add_argument("--name", required=True)
    org.add_argument("--owner-email", required=True, help="e-mail address of its first admin")
    org.add_argument("--same-name", action="store_true", help="also if another organization has this name")
    orgs = _command(admin, "list-orgs", "list the organizations, newest first", _list_orgs)
    orgs.add_argument("--limit", type=_page, default=50, help="how many, 1 to 200; default: 50")
    orgs.add_argument("--cursor", default="", help="`next_cursor` of the page before")
    gone = _command(admin, "delete-org", "delete an organization and everything of it, for good", _delete_org)
    gone.add_argument("--org", required=True, help="the organization's id")
    gone.add_argument("--yes", default="", metavar="NAME", help="its name; default: asks for it")
    key = _command(admin, "create-api-key", "create an API key", _create_api_key)
    key.add_argument("--org", required=True, help="the organization's id")
    key.add_argument("--role", required=True, choices=ROLES)
    key.add_argument("--scopes", default="", help="comma-separated; default: all")
    key.add_argument("--name", default="hum admin")
    _command(admin, "rebuild-analytics", "rebuild the analytics from the calls", _rebuild_analytics)
    reseal = _command(admin, "reseal", "seal secrets anew with the newest of HUM_SECRET_KEYS", _reseal)
    reseal.add_argument("--dry-run", action="store_true", help="count what there is to do")
    _command(admin, "rebuild-usage", "estimate costs anew, and rebuild the usage", _rebuild_usage)
    jobs = _command(admin, "jobs", "list jobs, events and reports that could not be handled, or release them", _jobs)
    jobs.add_argument("--limit", type=int, default=100, help=f"1 to {MAX_QUARANTINED}")
    jobs.add_argument("--release", nargs="+", metavar="ID", default=[], help="have these handled again")
    assign = _command(admin, "assign-number", "give a number of the carrier account to an organization", _assign_number)
    assign.add_argument("--e164", required=True)
    assign.add_argument("--org", required=True, help="the organization's id")
    site = _command(admin, "make-site-admin", "make a user an administrator of the whole deployment", _make_site_admin)
    site.add_argument("--email", required=True)
    site.add_argument("--revoke", action="store_true", help="remove the right instead")
    _command(admin, "make-keys", "print new keys for a deployment, as lines of an environment file", _make_keys)
    unlink = _command(admin, "unlink-sign-in", "unlink the account with which a person signs in", _unlink_sign_in)
    identifiers = unlink.add_mutually_exclusive_group(required=True)
    identifiers.add_argument("--email", default="", help="the person's address")
    identifiers.add_argument("--issuer", default="", help="a former issuer, to unlink all its accounts")


def _command(
    commands: "argparse._SubParsersAction[_CommandParser]",
    name: str,
    help: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help)
    command.set_defaults(run=run)
    return command


def _add_flag(command: argparse.ArgumentParser, flag: str, help: str) -> None:
    """Add a flag that is passed to the plane as it is."""
    command.add_argument(flag, action="append_const", const=flag, dest="flags", help=help)


def _plane(arguments: argparse.Namespace) -> int:
    command = [sys.executable, "-m", *PLANES[arguments.plane], *arguments.options, *arguments.flags]
    if arguments.plane == "media":
        from hum import settings
        from hum.process import hugepages

        os.execve(sys.executable, command, hugepages.preferred_environment(settings.environment()))  # noqa: S606 - as below
    os.execv(sys.executable, command)  # noqa: S606 - replaces this process with the plane


def _workers(text: str) -> tuple[str, str]:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("must be a number of processes, 1 or more")
    return "--workers", text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds, 0 or more")
    return seconds


def _page(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MAX_LISTED):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_LISTED}")
    return int(text)


def _job_count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MOST_JOBS):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MOST_JOBS}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0
    if not 0 < minutes < MOST_MINUTES:
        raise argparse.ArgumentTypeError("must be a number of minutes, such as 30")
    return minutes


def _migrate(arguments: argparse.Namespace) -> int:
    chosen = {"--print-roles": arguments.print_roles, "--restored": arguments.restored}
    options = [option for option, is_given in chosen.items() if is_given]
    os.execv(sys.executable, [sys.executable, "-m", "storage", "migrate", *options])  # noqa: S606 - replaces us


def _backup(arguments: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "storage", arguments.program, "--", arguments.folder]
    os.execv(sys.executable, command)  # noqa: S606 - replaces us


def _up(arguments: argparse.Namespace) -> int:
    from cli import up

    return asyncio.run(up.run(replace=arguments.replace))


def _demo(arguments: argparse.Namespace) -> int:
    from cli import demo

    return asyncio.run(demo.run(arguments.keep))


def _doctor(arguments: argparse.Namespace) -> int:
    from cli import doctor

    return asyncio.run(doctor.run(as_json=arguments.json))


def _call(arguments: argparse.Namespace) -> int:
    from cli import call

    return asyncio.run(call.run(arguments.to, arguments.from_, arguments.wav, arguments.say, as_json=arguments.json))


def _text(arguments: argparse.Namespace) -> int:
    from cli import text

    return asyncio.run(text.run(arguments.to, arguments.from_, arguments.words))


def _load(arguments: argparse.Namespace) -> int:
    from cli import load

    return asyncio.run(load.run(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    from cli import evaluate

    return asyncio.run(evaluate.run(arguments))


def _show(arguments: argparse.Namespace) -> int:
    from cli import evaluate

    return evaluate.show(arguments)


def _compare(arguments: argparse.Namespace) -> int:
    from cli import evaluate

    return asyncio.run(evaluate.compare(arguments))


def _rebuild_analytics(_: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.rebuild_analytics())


def _reseal(arguments: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.reseal(dry_run=arguments.dry_run))


def _rebuild_usage(_: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.rebuild_usage())


def _assign_number(arguments: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.assign_number(arguments.e164, arguments.org))


def _make_site_admin(arguments: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.make_site_admin(arguments.email, site_admin=not arguments.revoke))


def _make_keys(_: argparse.Namespace) -> int:
    from cli import admin

    return admin.make_keys()


def _jobs(arguments: argparse.Namespace) -> int:
    from cli import admin

    if arguments.release:
        return asyncio.run(admin.release_jobs(arguments.release))
    return asyncio.run(admin.jobs(arguments.limit))


def _unlink_sign_in(arguments: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.unlink_sign_in(arguments.email, arguments.issuer))


def _verify_audit(arguments: argparse.Namespace) -> int:
    from cli import audit

    return audit.verify(arguments.file, arguments.contains)


def _create_org(arguments: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.create_org(arguments.name, arguments.owner_email, same_name=arguments.same_name))


def _delete_org(arguments: argparse.Namespace) -> int:
    from cli import admin

    name = arguments.yes
    with suppress(EOFError):
        name = name or input("Everything of it will be gone for good. The organization's name: ")
    if not name:
        sys.stderr.write("hum: nothing is deleted: give the organization's name, with --yes if there is no terminal\n")
        return 1
    return asyncio.run(admin.delete_org(arguments.org, name))


def _list_orgs(arguments: argparse.Namespace) -> int:
    from cli import admin

    return asyncio.run(admin.list_orgs(arguments.limit, arguments.cursor))


def _create_api_key(arguments: argparse.Namespace) -> int:
    from cli import admin

    scopes = [scope.strip() for scope in arguments.scopes.split(",") if scope.strip()]
    return asyncio.run(admin.create_api_key(arguments.org, arguments.role, scopes, arguments.name))
