/** Lists that don't jump: while the pointer is over one, or it is scrolled, its rows keep their places and new ones are counted. */
import { useCallback, useState } from "react";

/** The rows in their old order, changed where they changed, without those that are gone; and how many new ones are held back. */
export function held<R extends { id: string }>(shown: readonly string[], rows: readonly R[]): { rows: R[]; waiting: number } {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const kept = shown.flatMap((id) => byId.get(id) ?? []);
  const places = new Set(shown);
  const last = rows.findLastIndex((row) => places.has(row.id));
  // What follows the last known row was loaded by scrolling, and belongs there.
  const further = kept.length === 0 ? rows : rows.slice(last + 1);
  return { rows: [...kept, ...further], waiting: rows.length - kept.length - further.length };
}

/** `isHeld` says whether to hold now; `scope` is what the list shows: another filter is another list. */
export function useHeld<R extends { id: string }>(rows: readonly R[], isHeld: boolean, scope: string): { rows: R[]; waiting: number; release: () => void } {
  const [state, setState] = useState<{ scope: string; ids: string[] }>({ scope, ids: [] });
  const isSame = state.scope === scope;
  const now = isHeld && isSame ? held(state.ids, rows) : { rows: [...rows], waiting: 0 };
  if (!isSame || state.ids.length !== now.rows.length || now.rows.some((row, at) => row.id !== state.ids[at])) setState({ scope, ids: now.rows.map((row) => row.id) });
  const release = useCallback(() => setState({ scope: "", ids: [] }), []);
  return { ...now, release };
}
