/** A row far above those that are held: its page alone is asked for, and not all that lie between. */
import { type InfiniteData, type QueryKey } from "@tanstack/react-query";
import { type Page, places, queryClient } from "./queries";

/** Where the pages that a list holds begin, and how they are asked for. */
export interface Held {
  key: QueryKey;
  ask: (cursor: string | undefined, signal: AbortSignal) => Promise<Page>;
  /** The cursor of the first of them. */
  first: string;
}

/** Of the pages that led to the one this cursor asks for, the one that has a row. */
export function pageOf(row: number, cursor: string): string {
  let at = cursor;
  for (let place = places.get(at); place && place.firstRow > row; place = places.get(at)) at = place.before;
  return at;
}

/** One at a time; where it fails, whoever scrolls on asks again. */
let isJumping = false;

export async function jumpTo(row: number, { key, ask, first }: Held): Promise<void> {
  if (isJumping) return;
  isJumping = true;
  const cursor = pageOf(row, first);
  try {
    await queryClient.cancelQueries({ queryKey: key, exact: true });
    const page = await ask(cursor || undefined, new AbortController().signal);
    queryClient.setQueryData<InfiniteData<Page, string>>(key, { pages: [page], pageParams: [cursor] });
  } catch {
    // the rows stay to come
  } finally {
    isJumping = false;
  }
}
