"""The topics into which tests are sorted that `make test` leaves out, and what each needs.

    python tests/topics.py               list the topics
    python tests/topics.py names         print their names
    python tests/topics.py packages NAME print the Debian packages that a topic needs and this machine lacks

Runs on a bare Python: it is asked before anything is installed.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Debian's paths, also for users whose PATH lacks the second.
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Topic:
    """A marker of pytest's with this name, and how its tests are run."""

    about: str
    #: Debian packages by a program of each.
    programs: Mapping[str, str] = field(default_factory=dict)
    #: How many tests run at a time; alone on the machine where real time is the subject.
    workers: int = 2


TOPICS: Mapping[str, Topic] = {
    "browser": Topic("pages, browser calls and the console's journeys, in Chromium", {"chromium": "chromium"}),
    "calls": Topic(
        "whole calls in real time: transfers, mailboxes, outbound, supervision; also when a part dies in them",
        workers=3,
    ),
    "eval": Topic(
        "the starter suites of `hum eval`: whole agents pass, broken ones fail; alone on the machine", workers=1
    ),
    "interop": Topic(
        "programs that others wrote: generated clients, OIDC, MCP, examples of the docs, Prometheus, backups",
        {"prometheus": "prometheus", "openssl": "openssl", "ssh-keygen": "openssh-client", "curl": "curl"},
    ),
    "nodes": Topic(
        "several machines: fail-over, partitions, proxies, deploys, the image; prints a table of proofs",
        {
            "ip": "iproute2",
            "pgbouncer": "pgbouncer",
            "nginx": "nginx",
            "caddy": "caddy",
            "haproxy": "haproxy",
            "systemd-analyze": "systemd",
            "promtool": "prometheus",
            "kustomize": "kustomize",
            "buildah": "buildah netavark",
            "mmdebstrap": "mmdebstrap",
            "openssl": "openssl",
        },
    ),
    "chaos": Topic("parts of one machine die, stand still, hang or can't start"),
    "strain": Topic("floods, neighbours, full disks, leaks, large tables", workers=1),
    "hostile": Topic(
        "documents that cost a parser more than their bytes, and what each parser of outside bytes takes for them"
    ),
    "fuzz": Topic("random input: the API by its document, every example of every property"),
    "realtime": Topic("figures that are compared with real time; alone on the machine", workers=1),
    "bench": Topic("a short run of each benchmark", workers=1),
    "interpreted": Topic("the media plane's tests without machine code"),
}


def quick() -> str:
    """Return pytest's expression for the tests of `make test`."""
    return f"not ({' or '.join(TOPICS)})"


def missing(name: str) -> list[str]:
    """Return the Debian packages that this topic's programs are in, as far as they are not installed."""
    programs = TOPICS[name].programs.items()
    lacking = [package for program, package in programs if shutil.which(program, path=PATH) is None]
    return sorted({package for packages in lacking for package in packages.split()})


def main(argv: list[str]) -> int:
    match argv:
        case []:
            lines = [f"  make check-{name:<12} {topic.about}" for name, topic in TOPICS.items()]
            sys.stdout.write("\n".join(lines) + "\n")
        case ["names"]:
            sys.stdout.write(" ".join(TOPICS))
        case ["packages", name] if name in TOPICS:
            sys.stdout.write(" ".join(missing(name)))
        case _:
            sys.exit(f"usage: python tests/topics.py [names | packages {'|'.join(TOPICS)}]")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
