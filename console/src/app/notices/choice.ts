/** Of what one wants to be told, and how: each person's own, in each browser. Nothing is told unless one has chosen it. */
import { useSyncExternalStore } from "react";
import { type Me, ownKey } from "@/api/me";

export const KINDS = ["text", "voicemail", "transfer", "approval", "call"] as const;
export type Kind = (typeof KINDS)[number];

export interface Choice {
  desktop: boolean;
  sound: boolean;
  /** Whether a notice on the desktop shows what was written or said: others may see the screen. */
  words: boolean;
  kinds: Record<Kind, boolean>;
}

export const NOTHING: Choice = { desktop: false, sound: false, words: false, kinds: { text: true, voicemail: true, transfer: true, approval: true, call: true } };
const PREFIX = "hum.notices.";
const watchers = new Set<() => void>();
/** Where the browser keeps nothing, a choice holds until the tab is closed. */
const unkept = new Map<string, string>();

function placeOf(me: Pick<Me, "organization" | "user">): string {
  return PREFIX + ownKey(me, "choice");
}

function stored(place: string): string {
  try {
    return localStorage.getItem(place) ?? unkept.get(place) ?? "";
  } catch {
    return unkept.get(place) ?? "";
  }
}

/** What is stored, as far as it makes sense. */
export function parsed(text: string): Choice {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return NOTHING;
  }
  const { kinds, ...how } = (typeof found === "object" && found !== null ? found : {}) as Partial<Choice>;
  const of = (kind: Kind): boolean => (kinds as Partial<Choice["kinds"]> | undefined)?.[kind] !== false;
  return {
    desktop: how.desktop === true,
    sound: how.sound === true,
    words: how.words === true,
    kinds: { text: of("text"), voicemail: of("voicemail"), transfer: of("transfer"), approval: of("approval"), call: of("call") },
  };
}

export function choiceOf(me: Pick<Me, "organization" | "user">): Choice {
  return parsed(stored(placeOf(me)));
}

export function choose(me: Pick<Me, "organization" | "user">, change: Partial<Choice>): void {
  const place = placeOf(me);
  const next = JSON.stringify({ ...parsed(stored(place)), ...change });
  try {
    localStorage.setItem(place, next);
  } catch {
    unkept.set(place, next);
  }
  for (const watcher of watchers) watcher();
}

/** Another tab's changes, too. */
export function useChoice(me: Pick<Me, "organization" | "user">): Choice {
  const text = useSyncExternalStore(subscribe, () => stored(placeOf(me)));
  return parsed(text);
}

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  window.addEventListener("storage", watcher);
  return () => {
    watchers.delete(watcher);
    window.removeEventListener("storage", watcher);
  };
}
