/** What is known of a call: put together from its record and its stream, which overlap. Nothing here is twice, however often it is told. */
import type { Schemas } from "@/api/client";
import type { CallDetail } from "../queries";

type Events = Schemas["StreamCallEvents"];
export type EventName = keyof Events;
export type CallEvent = { [K in EventName]: { type: K; data: Events[K] } }[EventName];
export const EVENT_NAMES = [
  "call.state",
  "transcript.delta",
  "transcript.turn",
  "tool.started",
  "tool.finished",
  "barge_in",
  "onset.refused",
  "call.ended",
  "call.intervention",
  "voicemail.begun",
  "voicemail.over",
  "keypad.entry",
  "call.flow_switched",
  "transfer.started",
  "transfer.connected",
  "transfer.ended",
] as const satisfies readonly EventName[];

interface Entry {
  key: string;
  /** Milliseconds since the call's first stream began: entries are shown in this order. */
  atMs: number;
}

/** Something that was said, or is being said. */
export interface Said extends Entry {
  kind: "said";
  role: Schemas["Speaker"];
  text: string;
  /** Null while it is being said: it may still be another one. */
  seq: number | null;
  endMs: number | null;
  isInterrupted: boolean;
  heardText: string | null;
}

export type Item =
  | Said
  | (Entry & { kind: "tool"; tool: Schemas["ToolActivity"] })
  | (Entry & { kind: "told"; told: Schemas["Intervention"] })
  | (Entry & { kind: "transfer"; transfer: Schemas["Transfer"] })
  | (Entry & { kind: "keys"; keys: string })
  | (Entry & { kind: "switched"; to: Schemas["FlowSwitched"] })
  | (Entry & { kind: "message"; isOver: boolean });

export interface Known {
  items: ReadonlyMap<string, Item>;
  /** By the number of the turn that was spoken over; those without one have a name of their own. */
  interruptions: readonly Schemas["Interruption"][];
  /** What did not stop the agent although it sounded like a voice. */
  refused: readonly Schemas["RefusedOnset"][];
  /** What the stream told last of the call itself; the record has it too, a moment later. */
  status: Schemas["CallStatus"] | null;
  isOver: boolean;
  /** Where the turns before those that are here go on; null when these are all. */
  earlier: string | null;
  /** Where the first of them begins. What happened before it is shown with the turns around it. */
  fromMs: number;
}

export const NOTHING: Known = { items: new Map(), interruptions: [], refused: [], status: null, isOver: false, earlier: null, fromMs: 0 };

/** Milliseconds of the call's own clock for an instant; null before the call was answered. */
export function callMs(at: string, answeredAt: string | null): number | null {
  return answeredAt ? Math.max(0, new Date(at).getTime() - new Date(answeredAt).getTime()) : null;
}

/** Take in several events at once: one copy of the items for all of them. */
export function takeIn(known: Known, events: readonly CallEvent[], answeredAt: string | null): Known {
  const next = { ...known, items: new Map(known.items) };
  for (const event of events) takeOne(next, event, answeredAt);
  return next;
}

interface Draft extends Omit<Known, "items"> {
  items: Map<string, Item>;
}

function takeOne(known: Draft, event: CallEvent, answeredAt: string | null): void {
  switch (event.type) {
    case "transcript.delta":
      return addDelta(known, event.data);
    case "transcript.turn":
      return addTurn(known, event.data);
    case "tool.started":
    case "tool.finished":
      return addTool(known, event.data, answeredAt);
    case "barge_in":
      known.interruptions = placed(known.interruptions, event.data);
      return undefined;
    case "onset.refused":
      known.refused = placed(known.refused, event.data);
      return undefined;
    case "call.intervention":
      return add(known, { kind: "told", key: `told ${event.data.id}`, atMs: event.data.at_ms ?? callMs(event.data.at, answeredAt) ?? 0, told: event.data });
    case "keypad.entry":
      return add(known, { kind: "keys", key: `keys ${event.data.at_ms}`, atMs: event.data.at_ms, keys: event.data.keys });
    case "call.flow_switched":
      return add(known, { kind: "switched", key: `switched ${event.data.at_ms}`, atMs: event.data.at_ms, to: event.data });
    case "transfer.started":
    case "transfer.connected":
    case "transfer.ended":
      return add(known, { kind: "transfer", key: `transfer ${event.data.id}`, atMs: callMs(event.data.started_at, answeredAt) ?? 0, transfer: event.data });
    case "voicemail.begun":
    case "voicemail.over":
      return add(known, { kind: "message", key: "message", atMs: known.items.get("message")?.atMs ?? lastMs(known), isOver: event.type === "voicemail.over" });
    case "call.state":
      known.status = event.data.status;
      return undefined;
    case "call.ended":
      known.status = event.data.status;
      known.isOver = true;
      for (const item of known.items.values()) if (item.kind === "said" && item.seq === null) known.items.delete(item.key); // was never said
      return undefined;
  }
}

function add(known: Draft, item: Item): void {
  known.items.set(item.key, item);
}

function addDelta(known: Draft, delta: Schemas["TranscriptDelta"]): void {
  const key = `said ${delta.item_id}`;
  const old = known.items.get(key);
  if (old?.kind === "said" && old.seq !== null) return; // its turn has come: that text holds
  const text = (old?.kind === "said" ? old.text : "") + delta.text;
  add(known, { kind: "said", key, atMs: delta.start_ms, role: delta.role, text, seq: null, endMs: null, isInterrupted: false, heardText: null });
}

function addTurn(known: Draft, turn: Schemas["Turn"]): void {
  const key = turn.item_id ? `said ${turn.item_id}` : `turn ${turn.seq}`;
  const before = known.items.get(`turn ${turn.seq}`);
  if (before && before.key !== key) known.items.delete(before.key);
  add(known, {
    kind: "said",
    key,
    atMs: turn.start_ms,
    role: turn.role,
    text: turn.text,
    seq: turn.seq,
    endMs: turn.end_ms,
    isInterrupted: turn.interrupted,
    heardText: turn.heard_text,
  });
}

function addTool(known: Draft, tool: Schemas["ToolActivity"], answeredAt: string | null): void {
  const key = `tool ${tool.id}`;
  const old = known.items.get(key);
  if (old?.kind === "tool" && old.tool.status !== "running" && tool.status === "running") return; // told again after a break
  add(known, { kind: "tool", key, atMs: callMs(tool.started_at, answeredAt) ?? 0, tool });
}

/** In order, and once each: what is told again replaces what was told. */
function placed<T extends { at_ms: number }>(all: readonly T[], told: T): T[] {
  return [...all.filter((each) => each.at_ms !== told.at_ms), told].toSorted((a, b) => a.at_ms - b.at_ms);
}

function lastMs(known: Draft): number {
  let last = 0;
  for (const item of known.items.values()) last = Math.max(last, item.atMs);
  return last;
}

/** The record, as the events that it was made from. */
export function eventsOf(call: CallDetail): CallEvent[] {
  return [
    ...call.transcript.map((data): CallEvent => ({ type: "transcript.turn", data })),
    ...call.tool_activity.map((data): CallEvent => ({ type: "tool.finished", data })),
    ...call.interruptions.map((data): CallEvent => ({ type: "barge_in", data })),
    ...call.refused_onsets.map((data): CallEvent => ({ type: "onset.refused", data })),
    ...call.interventions.map((data): CallEvent => ({ type: "call.intervention", data })),
    ...call.keypad_entries.map((data): CallEvent => ({ type: "keypad.entry", data })),
    ...call.flow_switches.map((data): CallEvent => ({ type: "call.flow_switched", data })),
    ...call.transfers.map((data): CallEvent => ({ type: "transfer.ended", data })),
    ...(call.ended_at ? [{ type: "call.ended", data: { status: call.status, reason: call.end_reason, duration_seconds: call.duration_seconds } } satisfies CallEvent] : []),
  ];
}

/** Take in the record, as it was asked for again. A gap between what is known and what it has is none: it begins anew there. */
export function withRecord(known: Known, call: CallDetail): Known {
  const [first] = call.transcript;
  const isJoined = call.earlier_turns_cursor === null || (first !== undefined && first.seq <= lastSeq(known) + 1);
  const next = takeIn(isJoined ? known : NOTHING, eventsOf(call), call.answered_at);
  if (call.earlier_turns_cursor === null) return { ...next, earlier: null, fromMs: 0 };
  return isJoined ? next : { ...next, earlier: call.earlier_turns_cursor, fromMs: first?.start_ms ?? 0 };
}

/** Take in the turns before, the latest first, that were asked for with this cursor. */
export function withEarlier(known: Known, cursor: string, page: Schemas["ListCallTurns"]): Known {
  if (known.earlier !== cursor) return known; // it began anew meanwhile
  const first = page.turns.at(-1);
  const next = takeIn(known, page.turns.map((data): CallEvent => ({ type: "transcript.turn", data })), null);
  return { ...next, earlier: page.next_cursor ?? null, fromMs: page.next_cursor && first ? first.start_ms : 0 };
}

function lastSeq(known: Known): number {
  let last = 0;
  for (const item of known.items.values()) if (item.kind === "said" && item.seq !== null) last = Math.max(last, item.seq);
  return last;
}

/** The items in the order of speech, from the first turn that is here: what is still being said last, of those that begin together. */
export function inOrder(known: Known): Item[] {
  return [...known.items.values()].filter((item) => item.atMs >= known.fromMs).toSorted((a, b) => a.atMs - b.atMs || rank(a) - rank(b));
}

function rank(item: Item): number {
  return item.kind === "said" ? (item.seq ?? Infinity) : 0;
}

/** Who is speaking at this moment: whose utterance is open, the latest of them; nobody when none is. */
export function floor(known: Known): "caller" | "agent" | null {
  let latest: Said | null = null;
  if (known.isOver) return null;
  for (const item of known.items.values()) if (item.kind === "said" && item.seq === null && (!latest || item.atMs >= latest.atMs)) latest = item;
  return latest && latest.role !== "system" ? latest.role : null;
}

/** A turn's text in two: what the caller heard, and what was cut off. Only an interrupted one has a second part. */
export function heardAndNot(said: Pick<Said, "text" | "heardText" | "isInterrupted">): [heard: string, unheard: string] {
  const { text, heardText } = said;
  if (!said.isInterrupted || heardText === null) return [text, ""];
  if (text.startsWith(heardText)) return [heardText, text.slice(heardText.length)];
  return [heardText, ""];
}

/** The item under a moment of the recording: the last that began by then, if it is not long over. */
export function itemAt(items: readonly Item[], ms: number): Said | null {
  let [low, high] = [0, items.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.atMs ?? 0) <= ms) low = middle + 1;
    else high = middle - 1;
  }
  for (let at = high; at >= 0 && at > high - 12; at -= 1) {
    const item = items[at];
    if (item?.kind === "said" && item.endMs !== null && ms < item.endMs + 60) return item;
  }
  return null;
}
