import { describe, expect, it } from "vitest";
import type { CallDetail } from "../queries";
import { type CallEvent, type Known, NOTHING, floor, heardAndNot, inOrder, itemAt, takeIn, withEarlier, withRecord } from "./events";

const ANSWERED = "2026-11-26T10:00:00Z";

function delta(item_id: string, role: "caller" | "agent", text: string, start_ms: number): CallEvent {
  return { type: "transcript.delta", data: { item_id, role, text, start_ms } };
}

function turn(item_id: string | null, role: "caller" | "agent", text: string, start_ms: number, seq: number, rest: { interrupted?: boolean; heard_text?: string } = {}): CallEvent {
  return { type: "transcript.turn", data: { item_id, role, text, start_ms, end_ms: start_ms + 1000, seq, interrupted: rest.interrupted ?? false, heard_text: rest.heard_text ?? null } };
}

function tool(status: string): CallEvent {
  const data = { id: "t1", name: "book", arguments: {}, result: null, status, started_at: "2026-11-26T10:00:05Z", duration_ms: null };
  return { type: status === "running" ? "tool.started" : "tool.finished", data };
}

function texts(known: Known): string[] {
  return inOrder(known).map((item) => (item.kind === "said" ? item.text : item.kind));
}

const feed = (known: Known, ...events: CallEvent[]): Known => takeIn(known, events, ANSWERED);

describe("a transcript as it comes", () => {
  it("grows by deltas, and is replaced by its turn", () => {
    let known = feed(NOTHING, delta("a", "agent", "Good ", 100), delta("a", "agent", "mornig", 100));
    expect(texts(known)).toEqual(["Good mornig"]);
    known = feed(known, turn("a", "agent", "Good morning.", 120, 1));
    expect(texts(known)).toEqual(["Good morning."]);
  });
  it("drops deltas that come after their turn", () => {
    expect(texts(feed(NOTHING, turn("a", "agent", "Hello.", 0, 1), delta("a", "agent", "lo.", 0)))).toEqual(["Hello."]);
  });
  it("shows who spoke first first, though the answer's text came earlier", () => {
    const known = feed(NOTHING, delta("c", "caller", "", 4000), delta("a", "agent", "Sure.", 6000), delta("c", "caller", "A cleaning please", 4000), tool("running"));
    expect(texts(known)).toEqual(["A cleaning please", "tool", "Sure."]);
  });
  it("knows nothing twice when the stream begins anew", () => {
    const all = [turn("a", "agent", "Hello.", 0, 1), tool("running"), tool("ok"), turn("c", "caller", "Hi.", 1500, 2)];
    const once = feed(NOTHING, ...all);
    expect(inOrder(feed(once, ...all))).toEqual(inOrder(once));
  });
  it("takes the later report of a turn", () => {
    expect(texts(feed(NOTHING, turn("a", "agent", "Hello the", 0, 1), turn("a", "agent", "Hello there.", 0, 1)))).toEqual(["Hello there."]);
    expect(texts(feed(NOTHING, turn(null, "agent", "Hello the", 0, 1), turn("a", "agent", "Hello there.", 0, 1)))).toEqual(["Hello there."]);
  });
  it("keeps a finished tool finished when its beginning is told again", () => {
    const [item] = inOrder(feed(NOTHING, tool("ok"), tool("running")));
    expect(item?.kind === "tool" && item.tool.status).toBe("ok");
  });
  it("forgets what never became a turn once the call is over", () => {
    const known = feed(NOTHING, turn("a", "agent", "Hello.", 0, 1), delta("b", "agent", "Never sa", 9000), { type: "call.ended", data: { status: "completed", reason: "caller", duration_seconds: 9 } });
    expect(texts(known)).toEqual(["Hello."]);
    expect(floor(known)).toBeNull();
  });
  it("does not change what was handed out before", () => {
    const before = feed(NOTHING, turn("a", "agent", "Hello.", 0, 1));
    feed(before, turn("b", "caller", "Hi.", 900, 2));
    expect(before.items.size).toBe(1);
  });
});

type Turn = CallDetail["transcript"][number];

function turnOf(seq: number): Turn {
  return turn(`i${seq}`, seq % 2 ? "agent" : "caller", `${seq}`, seq * 1000, seq).data as Turn;
}

/** The record of a call of `last` turns, with the latest three. */
function record(last: number, cursor: string | null = "c"): CallDetail {
  const transcript = [last - 2, last - 1, last].map(turnOf);
  const none = { tool_activity: [], interruptions: [], refused_onsets: [], interventions: [], keypad_entries: [], flow_switches: [], transfers: [] };
  return { answered_at: ANSWERED, ended_at: null, earlier_turns_cursor: cursor, transcript, ...none } as unknown as CallDetail;
}

describe("a transcript by pages", () => {
  const begun = withRecord(NOTHING, record(9));
  it("has the latest turns, and nothing that happened before them", () => {
    expect(texts(feed(begun, tool("ok")))).toEqual(["7", "8", "9"]); // the tool ran at second 5
  });
  it("goes on with what was said before, and joins what comes meanwhile by its item", () => {
    const live = feed(begun, tool("ok"), delta("i10", "caller", "te", 10_000));
    const once = withEarlier(live, "c", { turns: [turnOf(6), turnOf(5), turnOf(4)], next_cursor: "d" });
    expect(texts(once)).toEqual(["4", "tool", "5", "6", "7", "8", "9", "te"]);
    const all = feed(withEarlier(once, "d", { turns: [turnOf(3), turnOf(2), turnOf(1)], next_cursor: null }), turn("i10", "caller", "ten", 10_000, 10));
    expect(texts(all)).toEqual(["1", "2", "3", "4", "tool", "5", "6", "7", "8", "9", "ten"]);
    expect(all.earlier).toBeNull();
  });
  it("takes a page in once, and none that belongs to what was there before", () => {
    const page = { turns: [turnOf(6), turnOf(5)], next_cursor: "d" };
    const once = withEarlier(begun, "c", page);
    expect(withEarlier(once, "c", page)).toBe(once);
  });
  it("keeps what it has read when the record is asked for again", () => {
    const read = withEarlier(begun, "c", { turns: [turnOf(6), turnOf(5), turnOf(4)], next_cursor: "d" });
    const again = withRecord(read, record(11, "e"));
    expect([texts(again), again.earlier, again.fromMs]).toEqual([["4", "5", "6", "7", "8", "9", "10", "11"], "d", 4000]);
  });
  it("begins anew rather than show a gap", () => {
    const later = withRecord(begun, record(40, "e"));
    expect([texts(later), later.earlier]).toEqual([["38", "39", "40"], "e"]);
  });
  it("has everything of a short call", () => {
    const short = feed(withRecord(NOTHING, record(3, null)), tool("ok"));
    expect([texts(short), short.earlier]).toEqual([["1", "2", "3", "tool"], null]);
  });
});

describe("who has the floor", () => {
  it("is the caller from the first, empty delta on", () => {
    expect(floor(feed(NOTHING, turn("a", "agent", "Hello.", 0, 1), delta("c", "caller", "", 4000)))).toBe("caller");
  });
  it("is nobody between two turns", () => expect(floor(feed(NOTHING, turn("a", "agent", "Hello.", 0, 1)))).toBeNull());
});

describe("what was heard", () => {
  it("splits an interrupted turn alone", () => {
    expect(heardAndNot({ text: "We are open until six.", heardText: "We are open", isInterrupted: true })).toEqual(["We are open", " until six."]);
    expect(heardAndNot({ text: "We are open.", heardText: "We are", isInterrupted: false })).toEqual(["We are open.", ""]);
  });
});

describe("what is being played", () => {
  const items = inOrder(feed(NOTHING, turn("a", "agent", "Hello.", 0, 1), turn("c", "caller", "Hi.", 2000, 2), tool("ok"), turn("b", "agent", "Bye.", 9000, 3)));
  it.each([
    [500, "Hello."],
    [1500, undefined],
    [2500, "Hi."],
    [5200, undefined],
    [9999, "Bye."],
  ])("at %d ms is %s", (ms, text) => expect(itemAt(items, ms)?.text).toBe(text));
});
