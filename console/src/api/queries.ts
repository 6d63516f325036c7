/** How the console asks: one client, keys by noun, pages by cursor that keep a bounded window. */
import {
  type InfiniteData,
  QueryClient,
  type QueryKey,
  infiniteQueryOptions,
  keepPreviousData,
  useInfiniteQuery,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { toast } from "@/ui/toast";
import { useAct } from "./acts";
import { ApiError } from "./client";

/** Pages that a list keeps; beyond them the far ones are dropped, and asked again on the way back. */
const MOST_PAGES = 20;

/** Where each page of a list begins, and which came before it: by the cursor that asks for it. */
export const places = new Map<string, { before: string; firstRow: number }>();
const MOST_PLACES = 20_000;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000, // what changes meanwhile is told by the stream
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 2 && error instanceof ApiError && error.isPassing && error.status !== 429,
    },
    mutations: { retry: false },
  },
});

/** One thing. `key` begins with its noun: `["calls", id]`; the stream's news refetch by it. */
export function useThing<T>(key: QueryKey, ask: (signal: AbortSignal) => Promise<T>, options: { enabled?: boolean; refetchMs?: number } = {}) {
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask(signal),
    enabled: options.enabled ?? true,
    refetchInterval: options.refetchMs ?? false,
  });
}

/** Ask for a thing while the page that shows it is still on its way. */
export function askThingAhead<T>(queryKey: QueryKey, ask: (signal: AbortSignal) => Promise<T>): void {
  void queryClient.prefetchQuery({ queryKey, queryFn: ({ signal }) => ask(signal) });
}

export interface Page {
  next_cursor?: string | null;
}

interface ListOptions {
  /** The page itself brings news into this list: the stream refetches nothing of it. */
  isPatched?: boolean;
}

type Ask<P> = (cursor: string | undefined, signal: AbortSignal) => Promise<P>;

export function listOptions<P extends Page, R>(key: QueryKey, ask: Ask<P>, pick: (page: P) => R[], options: ListOptions) {
  return infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => ask(pageParam || undefined, signal),
    initialPageParam: "",
    getNextPageParam: (last: P, _pages, cursor: string) => {
      if (!last.next_cursor) return undefined;
      if (places.size > MOST_PLACES) places.clear();
      places.set(last.next_cursor, { before: cursor, firstRow: (places.get(cursor)?.firstRow ?? 0) + pick(last).length });
      return last.next_cursor;
    },
    getPreviousPageParam: (_first, _pages, cursor: string) => places.get(cursor)?.before,
    maxPages: MOST_PAGES,
    meta: { isPatched: options.isPatched ?? false },
  });
}

/**
 * A list by cursor. `rows` are those of all pages that are held, the first of them the list's row `offset`; the old ones stay while a
 * filter's new ones come.
 */
export function useList<P extends Page, R>(key: QueryKey, ask: Ask<P>, pick: (page: P) => R[], enabled = true, options: ListOptions = {}) {
  const query = useInfiniteQuery({ ...listOptions(key, ask, pick, options), placeholderData: keepPreviousData, enabled });
  const first = String(query.data?.pageParams[0] ?? "");
  return { ...query, rows: query.data?.pages.flatMap(pick) ?? [], offset: places.get(first)?.firstRow ?? 0, from: { key, ask, first } };
}

/** Ask for a list's first page while the page that shows it is still on its way. What is held already stays as it is. */
export function askListAhead<P extends Page, R>(key: QueryKey, ask: Ask<P>, pick: (page: P) => R[], options: ListOptions = {}): void {
  if (queryClient.getQueryData(key) === undefined) void queryClient.prefetchInfiniteQuery(listOptions(key, ask, pick, options));
}

/** A change: refetches what it touches, and shows a refusal unless `onError` takes it (a form does). The same asked again meanwhile does nothing. */
export function useChange<V, R>(change: (values: V) => Promise<R>, touches: QueryKey[], options: { onDone?: (result: R, values: V) => void; onError?: (error: ApiError) => boolean } = {}) {
  const client = useQueryClient();
  return useAct<V, R>({
    mutationFn: change,
    onSuccess: (result, values) => {
      for (const queryKey of touches) void client.invalidateQueries({ queryKey });
      options.onDone?.(result, values);
    },
    onError: (error) => {
      const refusal = asApiError(error);
      if (!options.onError?.(refusal)) toast.refusal(refusal);
    },
  });
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "bug", error instanceof Error ? error.message : String(error), [], "");
}

/** Change the row with this id in every page of every list whose key begins with `key`. */
export function patchRows<R extends { id: string }>(key: QueryKey, id: string, change: (row: R) => R): void {
  queryClient.setQueriesData<InfiniteData<Record<string, unknown>>>({ queryKey: key }, (old) => {
    if (!old?.pages) return old;
    return { ...old, pages: old.pages.map((page) => mapRows<R>(page, id, change)) };
  });
}

function mapRows<R extends { id: string }>(page: Record<string, unknown>, id: string, change: (row: R) => R): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(page).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((row: R) => (row?.id === id ? change(row) : row)) : value,
    ]),
  );
}
