/** The agents, for whatever names or chooses one: without their texts, which can be a hundred kilobytes each. */
import { useCallback } from "react";
import { type Schemas, api, data } from "./client";
import { useCan } from "./me";
import { useList, useThing } from "./queries";

type Flow = Schemas["Flow"];
/** What every list has of a flow. */
type Always = "id" | "version" | "created_at" | "updated_at" | "name" | "kind" | "channel" | "trigger_type";
export type ListedFlow = Pick<Flow, Always>;

const PAGE = 200;
const MOST_PAGES = 5;

/** A thousand at most: beyond that one searches, and doesn't choose from a list. */
async function allFlows(fields: readonly string[], signal: AbortSignal): Promise<Flow[]> {
  const all: Flow[] = [];
  let cursor: string | undefined;
  for (let at = 0; at < MOST_PAGES; at += 1) {
    const query = { limit: PAGE, fields: [...fields], ...(cursor ? { cursor } : {}) };
    // Where a page begins, the one before it says.
    // oxlint-disable-next-line no-await-in-loop
    const page = await data(api.GET("/api/flows", { params: { query }, signal }));
    all.push(...page.flows);
    cursor = page.next_cursor ?? undefined;
    if (!cursor) break;
  }
  return all;
}

export function useFlow(id: string | null) {
  const enabled = useCan("flows:read") && id !== null;
  return useThing(["flows", id ?? "none"], (signal) => data(api.GET("/api/flows/{id}", { params: { path: { id: id ?? "" } }, signal })), { enabled });
}

/** All agents, the newest first. */
export function useAllFlows(isWanted = true) {
  const enabled = useCan("flows:read") && isWanted;
  return useThing(["flows", "all"], (signal): Promise<ListedFlow[]> => allFlows(["name"], signal), { enabled });
}

/** All agents with some of their other fields. */
export function useAllFlowsWith<F extends keyof Flow>(fields: readonly F[], isWanted = true) {
  const enabled = useCan("flows:read") && isWanted;
  return useThing(["flows", "all", fields], (signal): Promise<Pick<Flow, Always | F>[]> => allFlows(fields, signal), { enabled });
}

/** A function from an agent's id to its name. */
export function useFlowName(): (id: string | null | undefined) => string | undefined {
  const { data: found } = useAllFlows();
  return useCallback((id) => found?.find((flow) => flow.id === id)?.name, [found]);
}

/** The agents as a table has them, page by page. */
export function useFlowPages() {
  return useList(
    ["flows", "list"],
    (cursor, signal) => data(api.GET("/api/flows", { params: { query: { limit: 50, fields: ["name"], ...(cursor ? { cursor } : {}) } }, signal })),
    (page): ListedFlow[] => page.flows,
  );
}
