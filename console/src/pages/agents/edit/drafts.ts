/** Changes that are not saved, kept in this browser by person and flow, with the version that they were made of. */
import { BLANK, type Changes, type Draft, changesOf, isField, isSame, namesOf } from "../flow";

export interface StoredDraft {
  version: number;
  savedAt: string;
  /** What the changed fields were. */
  before: Changes;
  changes: Changes;
}

const PREFIX = "hum.draft.flow.";

export function keepDraft(key: string, version: number, base: Draft, changes: Changes, now = new Date()): void {
  const before = Object.fromEntries(namesOf(changes).map((name) => [name, base[name]]));
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify({ version, savedAt: now.toISOString(), before, changes } satisfies StoredDraft));
  } catch {
    // a full or forbidden storage: the page still asks before one leaves
  }
}

export function dropDraft(key: string): void {
  try {
    localStorage.removeItem(PREFIX + key);
  } catch {
    // nothing was kept
  }
}

/** The draft that is kept, if it changes anything of `saved`. */
export function storedDraft(key: string, saved: Draft): StoredDraft | null {
  try {
    const found = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null") as StoredDraft | null;
    if (!found || typeof found.changes !== "object" || typeof found.before !== "object") return null;
    const changes = Object.fromEntries(Object.entries(found.changes).filter(([name]) => isField(name)));
    return Object.keys(changesOf(saved, { ...saved, ...changes })).length > 0 ? { ...found, changes } : null;
  } catch {
    return null;
  }
}

/** The flow that the draft was made of, as far as the draft knows it. */
export function baseOf(stored: StoredDraft, saved: Draft): Draft {
  return { ...BLANK, ...saved, ...stored.before };
}

/** Whether a field of the draft was changed by somebody else since. */
export function isStale(stored: StoredDraft, saved: Draft): boolean {
  return namesOf(stored.before).some((name) => !isSame(stored.before[name], saved[name]));
}
