"""The findings of `hum doctor` about the bus: its servers, and whether they are one cluster.  Pure, without secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.doctor.finding import Finding

ABOUT = "bus"
#: Faults in words, and how to fix them.
FAULTS = {
    "away": ("can't be reached", "start it, or correct HUM_BUS_URL"),
    "name": ("has a name that can't be resolved", "correct HUM_BUS_URL"),
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
class BusFacts:
    """The output of `python -m control.busfacts`; `fault` is the reason if there is none."""

    servers: Sequence[Mapping[str, str]] = ()
    fault: str = ""


def judge(facts: BusFacts) -> list[Finding]:
    """Return a finding for each faulty server, or one that all are well."""
    if facts.fault:
        return [
            Finding(ABOUT, f"nothing was found out ({facts.fault})", "correct HUM_TLS_CA, HUM_TLS_CERT, HUM_TLS_KEY")
        ]
    findings = []
    for server in facts.servers:
        if server["fault"]:
            state, fix = FAULTS[server["fault"]]
            text = f"{server['server']} {state}" + (f" ({server['detail']})" if server["detail"] else "")
            findings.append(Finding(ABOUT, text, fix))
    if findings:
        return findings
    names = ", ".join(f"{server['server']} (NATS {server['version']})" for server in facts.servers)
    return [Finding(ABOUT, f"{names} {'answers' if len(facts.servers) == 1 else 'answer, and hear one another'}")]
