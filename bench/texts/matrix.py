"""The command python -m bench.texts.matrix: whether every recipient of a campaign gets its text once, whatever dies and wherever.

Each row is one campaign on running processes.  A worker, control or PostgreSQL is killed with SIGKILL at one named step
(`tests/support/seam.py`), several times where the step comes several times, and is started again: each of the three at each step, also where
another process takes the step.  Meanwhile the carrier drops responses before
and after it has accepted a text, answers 503 for texts that it accepted, and loses, repeats and delays callbacks.

The campaign's state of each recipient is compared with the texts that the carrier sent: none twice, none missing, the messages and the
counters as the carrier has them.  With the carrier's list working no recipient is `unknown`.  With the list down, and no callbacks at all,
`unknown` are exactly those whose response was dropped, or for whom an attempt was committed and its process or database died.  The
command ends with status 1 if any row has a violation, or if no process was killed.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import uvloop

from bench.texts.truth import Outcome, Recipients, Violations, judge
from hum import ids
from hum.ids import Kind
from sandbox.twilio import Fault, Recipient
from tests.support import seam
from tests.support.runningplatform import LOOK_SECONDS, SHORT, SHORT_DOWN, Platform, start_platform

SENDING = tuple(name for name in seam.steps() if name.startswith("send: "))
DISPATCH = tuple(name for name in seam.steps() if name.startswith("dispatch: "))
LOOK_UP = tuple(name for name in seam.steps() if name.startswith("look-up: "))
CALLBACK = tuple(name for name in seam.steps() if name.startswith("callback: "))
LAUNCH = tuple(name for name in seam.steps() if name.startswith("launch: "))
VICTIMS = ("worker", "control", "postgres")
#: Steps that occur once per campaign.
ONCE = {"dispatch: started", "dispatch: completed", *LAUNCH}
#: Passes of a frequent step before each death.
PASSES = (0, 6)
ALWAYS = 1 << 30
DROPPED_AFTER, DROPPED_BEFORE, ERROR_AFTER = 0.15, 0.08, 0.04
#: Time limit of a campaign on a busy machine: a base, and a part for each recipient.
CELL_SECONDS, RECIPIENT_SECONDS = 200.0, 0.5
#: Interval of polling the campaign; the database is down for as long.
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: what is killed at which step, and whether the carrier's list works."""

    victim: str
    step: str
    workers: int
    recipients: int
    list_works: bool = True

    @property
    def plane(self) -> str:
        """The plane that executes the step."""
        return "control" if self.step in {*LAUNCH, *CALLBACK} else "worker"


@dataclass(slots=True)
class Row:
    cell: Cell
    kills: int = 0
    requests: int = 0
    seconds: float = 0.0
    verdict: Violations = field(default_factory=Violations)
    #: In addition to those of the verdict.
    violations: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        return [*self.violations, *self.verdict.complaints]


class DisturbedCampaign:
    """One disturbed campaign and its outcome."""

    def __init__(self, platform: Platform, cell: Cell, audience: Recipients) -> None:
        self._town, self._cell, self._audience = platform, cell, audience
        #: Recipients of attempts that were committed without a response at any of the deaths.
        self._in_flight = set[str]()
        self._passes = list((0,) if cell.step in ONCE else PASSES)
        self._campaign = ""

    async def run(self) -> Row:
        began = time.monotonic()
        row, before = Row(self._cell), len(self._town.deaths)
        await self._town.workers(self._cell.workers)
        await self._prepare()
        if self._cell.step not in LAUNCH:
            self._arm()
        killer = asyncio.create_task(self._kill())
        try:
            async with asyncio.timeout(CELL_SECONDS + RECIPIENT_SECONDS * self._cell.recipients):
                await self._campaign_over()
        except TimeoutError:
            row.violations.append("the campaign did not complete in time")
        finally:
            killer.cancel()
            with suppress(asyncio.CancelledError):
                await killer
            seam.disarm(self._town.seams)
        row.kills = len(self._town.deaths) - before
        await self._judge(row)
        self._town.carrier.exchange.faults.pending.clear()
        row.seconds = round(time.monotonic() - began, 1)
        return row

    # -- faults

    def _arm(self) -> None:
        how = "die" if self._cell.victim == self._cell.plane else "wait"
        if self._passes:
            seam.arm(self._town.seams, self._cell.plane, self._cell.step, self._passes.pop(0), how)

    async def _prepare(self) -> None:
        carrier, audience = self._town.carrier, self._audience
        for contact in audience.refused:
            carrier.texting.recipients[contact] = Recipient(refuses=21614)
        for contact in audience.undelivered:
            carrier.texting.recipients[contact] = Recipient(fails=30006)
        for contact in audience.opted_out:
            await self._town.ask("POST", "/api/sms/opt-outs", json={"contact_e164": contact})
        if self._cell.list_works:
            carrier.inject_faults(
                Fault("message", "cut", times=ALWAYS, share=DROPPED_AFTER),
                Fault("message", "cut", stage="before", times=ALWAYS, share=DROPPED_BEFORE),
                Fault("message", "error", times=ALWAYS, share=ERROR_AFTER),
                Fault("message_callback", "never", times=ALWAYS, share=0.1),
                Fault("message_callback", "twice", times=ALWAYS, share=0.1),
                Fault("message_callback", "late", ms=700, times=ALWAYS, share=0.1),
            )
        else:
            carrier.inject_faults(
                *(Fault("message", "cut", to=contact, stage="before" if n % 2 else "after", times=ALWAYS)
                  for n, contact in enumerate(sorted(audience.dropped))),
                Fault("message_list", "error", times=ALWAYS),
                Fault("message_fetch", "error", times=ALWAYS),
                Fault("message_callback", "never", times=ALWAYS),
            )  # fmt: skip

    async def _kill(self) -> None:
        """Kill the victim while a process waits at the step, or notice that it has killed itself; then arm the next pass."""
        seams, cell = self._town.seams / self._cell.plane, self._cell
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            reached = [path for path in seams.iterdir() if path.name.startswith(f"{cell.step}.")]
            for file in reached:
                if cell.victim == "postgres":
                    await self._town.kill_postgres()
                    file.unlink()
                    await asyncio.sleep(POLL_SECONDS)
                    await self._town.restart_postgres()
                else:
                    if cell.victim != cell.plane:
                        await self._town.kill(cell.victim)
                    # Until its connections are closed, and the other processes continue.
                    await asyncio.sleep(0.1)
                    file.unlink()
                self._in_flight |= {attempt["to_e164"] for attempt in await self._town.query(IN_FLIGHT)}
                self._arm()

    # -- the campaign

    async def _campaign_over(self) -> None:
        platform, audience = self._town, self._audience
        chunks = [audience.all[n : n + 2000] for n in range(0, len(audience.all), 2000)]
        body = {"name": self._cell.step, "twilio_number_id": platform.number, "body_template": "Hello, it is time."}
        created = await platform.ask("POST", "/api/sms/campaigns", json={**body, "recipients": _recipients(chunks[0])})
        self._campaign = f"/api/sms/campaigns/{created['id']}"
        for chunk in chunks[1:]:
            await platform.ask("POST", f"{self._campaign}/recipients", json={"recipients": _recipients(chunk)})
        if self._cell.step in LAUNCH:
            self._arm()
        await platform.ask("POST", f"{self._campaign}/launch", headers={"Idempotency-Key": created["id"]})
        while True:
            shown = await platform.ask("GET", self._campaign)
            counts = shown["counts"]
            if shown["status"] == "completed" and await self._is_final(counts):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _is_final(self, counts: Mapping[str, int]) -> bool:
        """Return whether all states are final: where callbacks or look-ups work, no recipient stays `sent`."""
        settled = counts["sending"] == 0 and counts["pending"] == 0
        return settled and (not self._cell.list_works or counts["sent"] == 0)

    # -- the verdict

    async def _judge(self, row: Row) -> None:
        platform, audience, book = self._town, self._audience, self._town.carrier.texting.book
        campaign = ids.require(Kind.CAMPAIGN, self._campaign.rpartition("/")[2])
        outcome = Outcome(
            list_works=self._cell.list_works,
            reported=await self._reported_states(),
            counts=(await platform.ask("GET", self._campaign))["counts"],
            messages={
                record["contact_e164"]: record["messages"] for record in await platform.query(MESSAGES, campaign)
            },
            accepted={contact: [text.status for text in book.between(contact, None)] for contact in audience.all},
            sent={contact: book.sent_to[contact] for contact in audience.all},
            in_flight=frozenset(self._in_flight),
        )
        tried = Counter(request.to for request in book.requests)
        row.requests = sum(tried[contact] for contact in audience.all)
        row.verdict = judge(audience, outcome)
        if not row.kills:
            row.violations.append("no process was killed")

    async def _reported_states(self) -> dict[str, str]:
        """Return the campaign's state of each recipient."""
        states = dict[str, str]()
        cursor: str | None = ""
        while cursor is not None:
            page = await self._town.ask("GET", f"{self._campaign}/recipients", params={"limit": 200, "cursor": cursor})
            for recipient in page["recipients"]:
                assert recipient["contact_e164"] not in states, "a recipient twice"
                states[recipient["contact_e164"]] = recipient["status"]
            cursor = page["next_cursor"]
        return states


IN_FLIGHT = "SELECT to_e164 FROM message_attempts WHERE state = 'posting'"
MESSAGES = "SELECT contact_e164, count(*) AS messages FROM messages WHERE campaign_id = $1 GROUP BY 1"


def _recipients(contacts: Sequence[str]) -> list[dict[str, str]]:
    return [{"contact_e164": contact} for contact in contacts]


def cells(recipients: int, workers: Sequence[int], column: int) -> list[Cell]:
    """Return the whole matrix; with a `column`, the worker's sending steps once more with that number of recipients."""
    every = (*LAUNCH, *DISPATCH, *SENDING, *LOOK_UP, *CALLBACK)
    matrix = [Cell(victim, step, count, recipients) for victim, count, step in product(VICTIMS, workers, every)]
    matrix += [
        Cell(victim, step, count, recipients, False) for victim, count, step in product(VICTIMS, workers, SENDING)
    ]
    matrix += [Cell("worker", step, max(workers), column) for step in SENDING if column]
    return matrix


async def measure(selected: Sequence[Cell], home: Path, file: Path | None = None) -> list[Row]:
    """Run the cells one after another, on one platform with the list and one without; write finished rows to `file`."""
    rows, first = list[Row](), 0
    for list_works, settings in ((True, SHORT), (False, SHORT_DOWN)):
        if not (group := [candidate for candidate in selected if candidate.list_works == list_works]):
            continue
        async with start_platform(home / ("works" if list_works else "down"), settings=settings) as platform:
            for cell in group:
                rows.append(await DisturbedCampaign(platform, cell, Recipients.of(first, cell.recipients)).run())
                first += cell.recipients
                sys.stderr.write(f"{_line(rows[-1])}\n")
                if file:
                    file.write_text(json.dumps([asdict(row) for row in rows], indent=1))  # noqa: ASYNC240 - between cells
    return rows


HEADS = (
    "killed", "at", "workers", "recipients", "list", "kills", "requests", "twice", "missing", "unnamed", "otherwise than in truth",
    "unknown", "may be unknown", "s", "verdict",
)  # fmt: skip


def _line(row: Row) -> str:
    cell = row.cell
    values: list[Any] = [cell.victim, cell.step, cell.workers, cell.recipients, "works" if cell.list_works else "down"]
    verdict = row.verdict
    values += [
        row.kills,
        row.requests,
        verdict.twice,
        verdict.missing,
        verdict.unnamed,
        verdict.differ,
        verdict.unknown,
    ]
    values += [verdict.may_be_unknown, row.seconds, "; ".join(row.complaints) or "holds"]
    return "| " + " | ".join(map(str, values)) + " |"


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a Markdown table."""
    return "\n".join([f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}", *map(_line, rows)])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.texts.matrix", description=__doc__)
    parser.add_argument("--recipients", type=int, default=300)
    parser.add_argument("--column", type=int, default=0, help="also the sending steps with so many recipients")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 3])
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only rows whose `victim step list workers` has one of these in it"
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args(argv)
    every = cells(options.recipients, options.workers, options.column)
    selected = [cell for cell in every if any(part in _name(cell) for part in options.only)]
    folder = Path(tempfile.mkdtemp(prefix="matrix."))
    rows = uvloop.run(measure(selected, folder / "home", options.json))
    print(table(rows))
    violated = any(row.complaints for row in rows)
    if violated:
        sys.stderr.write(f"logs: {folder}\n")
    else:
        shutil.rmtree(folder)
    return 1 if violated else 0


def _name(cell: Cell) -> str:
    return f"{cell.victim} {cell.step} {'works' if cell.list_works else 'down'} {cell.workers}"


if __name__ == "__main__":
    sys.exit(main())
