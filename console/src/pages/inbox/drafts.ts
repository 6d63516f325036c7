/**
 * What is written and not sent, for each thread of its own, kept at every key press; and what was sent and not confirmed.
 *
 * A text gets its key when it is sent, before anything leaves: whoever sends it again, after a reload too, sends the same one. What is
 * kept is the browser's: a tab follows what the others write, and looks at it before it changes anything.
 */
import { useMemo, useSyncExternalStore } from "react";
import type { Attachment } from "./uploads";

export interface Draft {
  body: string;
  uploads: Attachment[];
  /** When it is to leave; null for at once. */
  scheduledAt: string | null;
  honorQuietHours: boolean;
}

export interface Unconfirmed extends Draft {
  key: string;
  state: "sending" | "failed" | "refused";
  /** Why, when it failed or was refused. */
  reason: string;
  /** When it was sent first. */
  at: string;
}

interface Kept {
  draft: Draft;
  outbox: Unconfirmed[];
}

/** What the carrier takes as one text. */
export const MOST_FILES = 10;
export const EMPTY: Draft = { body: "", uploads: [], scheduledAt: null, honorQuietHours: false };
const NONE: Kept = { draft: EMPTY, outbox: [] };
const PREFIX = "hum.thread.";
/** The server forgets a key after 24 hours; what is sent then under the same one is sent twice. */
const KEY_LIVES_MS = 23 * 3_600_000;
/** What this tab knows, and the writing that it knows it from. */
const held = new Map<string, { kept: Kept; raw: string | null }>();
/** Which texts this tab is sending; of any other that is on its way a living tab tells how it ends. */
const sending = new Map<string, ThreadKey>();
const watchers = new Set<() => void>();
let version = 0;

/** `organization/person/conversation`: what one person wrote in one organization shows in no other, and to nobody else. */
export type ThreadKey = `${string}/${string}/${string}`;

/** `isFirst`: what was on its way then is not known to have arrived; its tab may be gone. */
function parsed(raw: string | null, isFirst: boolean): Kept {
  try {
    const found = JSON.parse(raw ?? "null") as Partial<Kept> | null;
    if (!found) return NONE;
    const outbox = (found.outbox ?? []).map((each): Unconfirmed => {
      const text = { ...EMPTY, ...each };
      if (sending.has(each.key)) return { ...text, state: "sending" };
      return isFirst && each.state === "sending" ? { ...text, state: "failed" } : text;
    });
    return { draft: { ...EMPTY, ...found.draft }, outbox };
  } catch {
    return NONE;
  }
}

/** Looks whether another tab has written something else than this one knows. */
function read(key: string): Kept {
  const known = held.get(key);
  let raw: string | null;
  try {
    raw = localStorage.getItem(PREFIX + key);
  } catch {
    return known?.kept ?? NONE;
  }
  if (known?.raw === raw) return known.kept;
  const kept = parsed(raw, !known);
  held.set(key, { kept, raw });
  return kept;
}

function write(key: ThreadKey, next: Kept): void {
  const raw = isBlank(next.draft) && next.outbox.length === 0 ? null : JSON.stringify(next);
  let written = raw;
  try {
    if (raw === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, raw);
  } catch {
    written = held.get(key)?.raw ?? null; // without storage, or where it is full, it is kept until the tab is closed
  }
  held.set(key, { kept: next, raw: written });
  tell();
}

function tell(): void {
  version += 1;
  for (const watcher of watchers) watcher();
}

window.addEventListener("storage", ({ key }) => {
  if (key === null || key.startsWith(PREFIX)) tell();
});
document.addEventListener("visibilitychange", tell); // one that slept was told nothing
window.addEventListener("pagehide", () => {
  for (const [idempotencyKey, key] of sending) mark(key, idempotencyKey, "failed");
});

export function isBlank(draft: Draft): boolean {
  return draft.body.trim() === "" && draft.uploads.length === 0;
}

export function draftOf(key: ThreadKey): Draft {
  return read(key).draft;
}

export function setDraft(key: ThreadKey, change: Partial<Draft>): void {
  const seen = held.get(key)?.kept.draft.body;
  const now = read(key);
  const draft = { ...now.draft, ...change };
  // What another tab wrote that wasn't shown here yet is not written over.
  const isUnseen = seen !== undefined && seen !== now.draft.body && now.draft.body !== "";
  if (change.body !== undefined && isUnseen) draft.body = [now.draft.body, change.body].filter(Boolean).join("\n");
  write(key, { ...now, draft });
}

/** The draft becomes a text that is on its way; the composer is free. Null if there is none: another tab may have sent it. */
export function post(key: ThreadKey, idempotencyKey: string, at: Date): Unconfirmed | null {
  const now = read(key);
  if (isBlank(now.draft)) return null;
  sending.set(idempotencyKey, key);
  const sent: Unconfirmed = { ...now.draft, key: idempotencyKey, state: "sending", reason: "", at: at.toISOString() };
  write(key, { draft: EMPTY, outbox: [...now.outbox, sent] });
  return sent;
}

export function mark(key: ThreadKey, idempotencyKey: string, state: Unconfirmed["state"], reason = ""): void {
  const now = read(key);
  if (state === "sending") sending.set(idempotencyKey, key);
  else sending.delete(idempotencyKey);
  write(key, { ...now, outbox: now.outbox.map((each) => (each.key === idempotencyKey ? { ...each, state, reason } : each)) });
}

export function settle(key: ThreadKey, idempotencyKey: string): void {
  const now = read(key);
  sending.delete(idempotencyKey);
  write(key, { ...now, outbox: now.outbox.filter((each) => each.key !== idempotencyKey) });
}

/** Whether its key may be forgotten: sent again, it would go out twice if it had arrived. */
export function isStale(text: Unconfirmed, now: number): boolean {
  return now - Date.parse(text.at) > KEY_LIVES_MS;
}

/**
 * Back into the composer, before what is written there: a text that the server refused, or one of which nobody knows any more. Any other
 * may have gone out, and can be asked for under its key.
 */
export function takeBack(key: ThreadKey, idempotencyKey: string, at: Date): void {
  const now = read(key);
  const text = now.outbox.find((each) => each.key === idempotencyKey);
  if (!text || !(text.state === "refused" || (text.state === "failed" && isStale(text, at.getTime())))) return;
  const body = [text.body, now.draft.body].filter(Boolean).join("\n");
  const draft: Draft = { body, uploads: [...text.uploads, ...now.draft.uploads].slice(0, MOST_FILES), scheduledAt: text.scheduledAt, honorQuietHours: text.honorQuietHours };
  write(key, { draft, outbox: now.outbox.filter((each) => each !== text) });
}

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useKept(key: ThreadKey): Kept {
  return useSyncExternalStore(subscribe, () => read(key));
}

/** The conversations in which something of one's own waits to be sent; `own` is the key of no conversation. */
export function useDrafted(own: ThreadKey): ReadonlySet<string> {
  const at = useSyncExternalStore(subscribe, () => version);
  return useMemo(() => draftedUnder(own, at), [own, at]);
}

function draftedUnder(own: ThreadKey, _version: number): ReadonlySet<string> {
  const prefix = PREFIX + own;
  try {
    return new Set(Object.keys(localStorage).filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)));
  } catch {
    return new Set();
  }
}
