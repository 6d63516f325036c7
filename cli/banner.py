"""The output of `hum up`: steps of the start, URLs, real systems and stand-ins, and what to type next.  Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Programs' names in the output, and the width of their column.
TITLES = {
    "postgres": "the database",
    "carrier": "a stand-in for the carrier",
    "model": "a stand-in for the model",
    "signin": "a stand-in for the sign-in provider",
}
WIDTH = 40
LAST = "Stop with Ctrl-C."


def started(name: str, ms: float) -> str:
    """Return the line for a step of the start, with its duration."""
    return f"  {TITLES.get(name, name):<{WIDTH}} {ms / 1000:5.1f} s"


def stopped(name: str, ms: float) -> str:
    """Return the line for a step of the stop, with its duration."""
    return f"  {f'{TITLES.get(name, name)} has stopped':<{WIDTH}} {ms / 1000:5.1f} s"


def command(program: Path, on_path: Path | None, here: Path) -> str:
    """Return the command `hum` as it must be typed in the directory `here`.

    `program` is the running one, `on_path` the one that the shell finds as `hum`, if any.  All paths are absolute.
    """
    if on_path is not None and on_path.resolve() == program.resolve() and on_path.parent == program.parent:
        return "hum"
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


@dataclass(frozen=True, slots=True)
class ExternalSystems:
    """The outside systems that the operator has set, without secrets; empty if not set, so that a stand-in runs."""

    database: str
    carrier: str
    model: str
    issuer: str


def external_systems(systems: ExternalSystems, addresses: Mapping[str, Any], home: Path) -> list[str]:
    """Return a line for each outside system: whether it is real or a stand-in, and its address."""
    numbers = ", ".join(addresses.get("numbers", ()))
    stand_ins = {
        "database": f"embedded, in {home / 'postgres'}",
        "carrier": f"a stand-in that no phone reaches, {addresses.get('carrier_url')}; it holds {numbers}",
        "model": f"a stand-in that follows the flow's prompt by rules, {addresses.get('model_url')}",
        "provider": f"a stand-in; anybody can sign in as anybody, {addresses.get('signin_url')}",
    }
    real = {
        "database": systems.database,
        "carrier": systems.carrier and f"real, calls cost money: {systems.carrier}",
        "model": systems.model and f"real, calls cost money: {systems.model}",
        "provider": systems.issuer
        or ("" if "signin_url" in addresses else "none; set HUM_OIDC_ISSUER, or use API keys"),
    }
    return [_row(name, real[name] or stand_in) for name, stand_in in stand_ins.items()]


def urls(addresses: Mapping[str, Any], home: Path) -> list[str]:
    """Return a line for each address, and for the file that lists them."""
    public = addresses["public_url"]
    return [
        f"HUM is up.  {home / 'run.json'} lists the addresses.",
        _row("console", f"{public}/   (sign in: {public}/auth/login)"),
        _row("API", f"{public}/api"),
        _row("its docs", f"{public}/docs   ({public}/openapi.json)"),
        _row("webhooks", f"{public}/twilio/voice"),
        _row("media", f"{addresses['media_url']}/media/twilio"),
        _row("control", addresses["control_address"]),
        *(_row("metrics", f"{url}   of {plane}") for plane, url in addresses["metrics_urls"].items()),
    ]


def next_steps(hum: str, number: str, console: str) -> list[str]:
    """Return lines with what to do next: the console's address, then commands."""
    return [
        "",
        f"Next:  open {console}/ , sign in, describe an agent, and let it answer {number}",
        f'       {hum} call --to {number} --say "I would like an appointment."   (once an agent does)',
        f'       {hum} text {number} "Are you open today?"   (once an agent for texts does)',
        f"       {hum} doctor   (looks at everything, and says how to fix what is wrong)",
        LAST,
    ]


def _row(name: str, value: str) -> str:
    return f"  {name:<10}  {value}"
