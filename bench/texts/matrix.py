"""python -m bench.texts.matrix: does every recipient of a campaign get its text once, whoever is killed, and wherever?

Each row is one campaign on running processes.  A worker, control or PostgreSQL is killed with SIGKILL at one named step
(`seam.py`), several times where the step comes several times, and is started again: each of the three at each step, also where
another process takes the step.  Meanwhile the carrier drops replies before
and after it has taken a text, answers 503 for texts that it took, and loses, repeats and delays callbacks.

What the campaign says of each recipient is compared with what the carrier truly sent: none twice, none missing, the messages and the
counters as the carrier has it.  With the carrier's list working nobody is `unknown`.  With the list down, and no callbacks at all,
`unknown` are exactly those whose answer was dropped, or for whom an attempt was committed and its process or database died.  The
command ends with status 1 if any row is violated, or if nobody was killed.
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

from bench.texts import seam
from bench.texts.town import LOOK_SECONDS, SHORT, SHORT_DOWN, Town, town
from bench.texts.truth import Audience, Found, Verdict, judge
from hum import ids
from hum.ids import Kind
from sandbox.twilio import Fault, Receiver

SENDING = tuple(each for each in seam.steps() if each.startswith("send: "))
DISPATCH = tuple(each for each in seam.steps() if each.startswith("dispatch: "))
LOOK_UP = tuple(each for each in seam.steps() if each.startswith("look-up: "))
CALLBACK = tuple(each for each in seam.steps() if each.startswith("callback: "))
LAUNCH = tuple(each for each in seam.steps() if each.startswith("launch: "))
VICTIMS = ("worker", "control", "postgres")
#: Steps that a campaign takes once.
ONCE = {"dispatch: started", "dispatch: completed", *LAUNCH}
#: How often a step is passed before each death, where it comes often.
PASSES = (0, 6)
ALWAYS = 1 << 30
DROPPED_AFTER, DROPPED_BEFORE, ERROR_AFTER = 0.15, 0.08, 0.04
#: How long a campaign may take: at least, and for each recipient, on a busy machine.
CELL_SECONDS, RECIPIENT_SECONDS = 200.0, 0.5
#: Between looks at the campaign; the database is down for as long.
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Cell:
    """What is killed where, and how the carrier's list fares."""

    victim: str
    step: str
    workers: int
    recipients: int
    list_works: bool = True

    @property
    def plane(self) -> str:
        """Whose step it is."""
        return "control" if self.step in {*LAUNCH, *CALLBACK} else "worker"


@dataclass(slots=True)
class Row:
    cell: Cell
    kills: int = 0
    requests: int = 0
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)
    #: Besides those of the verdict.
    violations: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        return [*self.violations, *self.verdict.complaints]


class Trial:
    """One campaign that is disturbed, and what became of it."""

    def __init__(self, made: Town, cell: Cell, audience: Audience) -> None:
        self._town, self._cell, self._audience = made, cell, audience
        #: Attempts that were committed and had no answer yet, whenever somebody died.
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
            row.violations.append("the campaign did not come to its end")
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

    # -- what goes wrong

    def _arm(self) -> None:
        how = "die" if self._cell.victim == self._cell.plane else "wait"
        if self._passes:
            seam.arm(self._town.seams, self._cell.plane, self._cell.step, self._passes.pop(0), how)

    async def _prepare(self) -> None:
        carrier, audience = self._town.carrier, self._audience
        for each in audience.refused:
            carrier.texting.receivers[each] = Receiver(refuses=21614)
        for each in audience.undelivered:
            carrier.texting.receivers[each] = Receiver(fails=30006)
        for each in audience.opted_out:
            await self._town.ask("POST", "/api/sms/opt-outs", json={"contact_e164": each})
        if self._cell.list_works:
            carrier.go_wrong(
                Fault("message", "cut", times=ALWAYS, share=DROPPED_AFTER),
                Fault("message", "cut", stage="before", times=ALWAYS, share=DROPPED_BEFORE),
                Fault("message", "error", times=ALWAYS, share=ERROR_AFTER),
                Fault("message_callback", "never", times=ALWAYS, share=0.1),
                Fault("message_callback", "twice", times=ALWAYS, share=0.1),
                Fault("message_callback", "late", ms=700, times=ALWAYS, share=0.1),
            )
        else:
            carrier.go_wrong(
                *(Fault("message", "cut", to=each, stage="before" if n % 2 else "after", times=ALWAYS)
                  for n, each in enumerate(sorted(audience.dropped))),
                Fault("message_list", "error", times=ALWAYS),
                Fault("message_fetch", "error", times=ALWAYS),
                Fault("message_callback", "never", times=ALWAYS),
            )  # fmt: skip

    async def _kill(self) -> None:
        """Kill the victim while a process waits at the step, or notice that it has killed itself; then arm the next."""
        seams, cell = self._town.seams / self._cell.plane, self._cell
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            taken = [each for each in seams.iterdir() if each.name.startswith(f"{cell.step}.")]
            for file in taken:
                if cell.victim == "postgres":
                    await self._town.kill_postgres()
                    file.unlink()
                    await asyncio.sleep(POLL_SECONDS)
                    await self._town.restart_postgres()
                else:
                    if cell.victim != cell.plane:
                        await self._town.kill(cell.victim)
                    await asyncio.sleep(0.1)  # until its connections are closed, and the others have gone on
                    file.unlink()
                self._in_flight |= {each["to_e164"] for each in await self._town.query(IN_FLIGHT)}
                self._arm()

    # -- the campaign

    async def _campaign_over(self) -> None:
        made, audience = self._town, self._audience
        chunks = [audience.all[n : n + 2000] for n in range(0, len(audience.all), 2000)]
        body = {"name": self._cell.step, "twilio_number_id": made.number, "body_template": "Hello, it is time."}
        created = await made.ask("POST", "/api/sms/campaigns", json={**body, "recipients": _recipients(chunks[0])})
        self._campaign = f"/api/sms/campaigns/{created['id']}"
        for chunk in chunks[1:]:
            await made.ask("POST", f"{self._campaign}/recipients", json={"recipients": _recipients(chunk)})
        if self._cell.step in LAUNCH:
            self._arm()
        await made.ask("POST", f"{self._campaign}/launch", headers={"Idempotency-Key": created["id"]})
        while True:
            shown = await made.ask("GET", self._campaign)
            counts = shown["counts"]
            if shown["status"] == "completed" and await self._told(counts):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _told(self, counts: Mapping[str, int]) -> bool:
        """Whether everything is known that will be: where callbacks come, or are asked for, nothing stays `sent`."""
        settled = counts["sending"] == 0 and counts["pending"] == 0
        return settled and (not self._cell.list_works or counts["sent"] == 0)

    # -- the truth

    async def _judge(self, row: Row) -> None:
        made, audience, book = self._town, self._audience, self._town.carrier.texting.book
        campaign = ids.require(Kind.CAMPAIGN, self._campaign.rpartition("/")[2])
        found = Found(
            list_works=self._cell.list_works,
            said=await self._said(),
            counts=(await made.ask("GET", self._campaign))["counts"],
            messages={each["contact_e164"]: each["messages"] for each in await made.query(MESSAGES, campaign)},
            taken={each: [text.status for text in book.between(each, None)] for each in audience.all},
            sent={each: book.sent_to[each] for each in audience.all},
            in_flight=frozenset(self._in_flight),
        )
        tried = Counter(each.to for each in book.requests)
        row.requests = sum(tried[each] for each in audience.all)
        row.verdict = judge(audience, found)
        if not row.kills:
            row.violations.append("nobody was killed")

    async def _said(self) -> dict[str, str]:
        """What the campaign says of each recipient."""
        said = dict[str, str]()
        cursor: str | None = ""
        while cursor is not None:
            page = await self._town.ask("GET", f"{self._campaign}/recipients", params={"limit": 200, "cursor": cursor})
            for each in page["recipients"]:
                assert each["contact_e164"] not in said, "a recipient twice"
                said[each["contact_e164"]] = each["status"]
            cursor = page["next_cursor"]
        return said


IN_FLIGHT = "SELECT to_e164 FROM message_attempts WHERE state = 'posting'"
MESSAGES = "SELECT contact_e164, count(*) AS messages FROM messages WHERE campaign_id = $1 GROUP BY 1"


def _recipients(contacts: Sequence[str]) -> list[dict[str, str]]:
    return [{"contact_e164": each} for each in contacts]


def cells(recipients: int, workers: Sequence[int], column: int) -> list[Cell]:
    """The whole matrix; with a `column`, the worker's sending steps once more with so many recipients."""
    every = (*LAUNCH, *DISPATCH, *SENDING, *LOOK_UP, *CALLBACK)
    found = [Cell(victim, step, count, recipients) for victim, count, step in product(VICTIMS, workers, every)]
    found += [
        Cell(victim, step, count, recipients, False) for victim, count, step in product(VICTIMS, workers, SENDING)
    ]
    found += [Cell("worker", step, max(workers), column) for step in SENDING if column]
    return found


async def measure(chosen: Sequence[Cell], home: Path, file: Path | None = None) -> list[Row]:
    """One row after the other, on a platform for those with the list and one for those without; `file` has those that are done."""
    rows, first = list[Row](), 0
    for list_works, settings in ((True, SHORT), (False, SHORT_DOWN)):
        if not (mine := [each for each in chosen if each.list_works == list_works]):
            continue
        async with town(home / ("works" if list_works else "down"), settings=settings) as made:
            for cell in mine:
                rows.append(await Trial(made, cell, Audience.of(first, cell.recipients)).run())
                first += cell.recipients
                sys.stderr.write(f"{_line(rows[-1])}\n")
                if file:
                    file.write_text(json.dumps([asdict(each) for each in rows], indent=1))  # noqa: ASYNC240 - nobody waits
    return rows


HEADS = (
    "killed", "at", "workers", "recipients", "list", "kills", "requests", "twice", "missing", "unnamed", "otherwise than in truth",
    "unknown", "may be unknown", "s", "verdict",
)  # fmt: skip


def _line(row: Row) -> str:
    cell = row.cell
    told: list[Any] = [cell.victim, cell.step, cell.workers, cell.recipients, "works" if cell.list_works else "down"]
    found = row.verdict
    told += [row.kills, row.requests, found.twice, found.missing, found.unnamed, found.differ, found.unknown]
    told += [found.may_be_unknown, row.seconds, "; ".join(row.complaints) or "holds"]
    return "| " + " | ".join(map(str, told)) + " |"


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
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
    given = parser.parse_args(argv)
    every = cells(given.recipients, given.workers, given.column)
    chosen = [each for each in every if any(part in _name(each) for part in given.only)]
    folder = Path(tempfile.mkdtemp(prefix="matrix."))
    rows = uvloop.run(measure(chosen, folder / "home", given.json))
    print(table(rows))
    violated = any(each.complaints for each in rows)
    if violated:
        sys.stderr.write(f"logs: {folder}\n")
    else:
        shutil.rmtree(folder)
    return 1 if violated else 0


def _name(cell: Cell) -> str:
    return f"{cell.victim} {cell.step} {'works' if cell.list_works else 'down'} {cell.workers}"


if __name__ == "__main__":
    sys.exit(main())
