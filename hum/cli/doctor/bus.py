"""What `hum doctor` makes of the bus: each server of HUM_BUS_URL, and whether they are one cluster.  Pure, and without secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hum.cli.doctor.finding import Finding

ABOUT = "bus"
#: What each fault is, and what to do about it.
FAULTS = {
    "away": ("can't be reached", "start it, or correct HUM_BUS_URL"),
    "name": ("is at a name that nobody knows", "correct HUM_BUS_URL"),
    "tls": (
        "does not speak TLS as we do",
        "give it a certificate (`tls` in its configuration), or correct HUM_BUS_URL",
    ),
    "authority": (
        "shows a certificate that we don't trust",
        "set HUM_TLS_CA to the authority that issued it, and HUM_BUS_URL to a name that it has",
    ),
    "certificate": ("refuses our certificate", "set HUM_TLS_CERT and HUM_TLS_KEY to one that its authority issued"),
    "login": ("refuses user and password", "correct them in HUM_BUS_URL"),
    "permission": ("does not let us talk", "allow its user to publish and subscribe below hum.>"),
    "apart": ("does not hear what the others are told", "make them one cluster (`cluster` and its routes)"),
}


@dataclass(frozen=True, slots=True)
class Bus:
    """What `python -m control.busfacts` prints; `fault` says why it could not look."""

    servers: Sequence[Mapping[str, str]] = ()
    fault: str = ""


def judge(found: Bus) -> list[Finding]:
    """A finding for each server that is not as it should be, or one that all are."""
    if found.fault:
        return [
            Finding(ABOUT, f"nothing was found out ({found.fault})", "correct HUM_TLS_CA, HUM_TLS_CERT, HUM_TLS_KEY")
        ]
    wrong = []
    for each in found.servers:
        if each["fault"]:
            what, fix = FAULTS[each["fault"]]
            shown = f"{each['server']} {what}" + (f" ({each['detail']})" if each["detail"] else "")
            wrong.append(Finding(ABOUT, shown, fix))
    if wrong:
        return wrong
    names = ", ".join(f"{each['server']} (NATS {each['version']})" for each in found.servers)
    return [Finding(ABOUT, f"{names} {'answers' if len(found.servers) == 1 else 'answer, and hear one another'}")]
