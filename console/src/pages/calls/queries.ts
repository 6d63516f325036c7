/** What the calls' pages ask. Lists begin with `["calls", "list"]`, a call is `["calls", id]`. */
import { type Schemas, api, data } from "@/api/client";
import { can, heldMe, useCan, useZone, zoneOf } from "@/api/me";
import { askListAhead, askThingAhead, useList, useThing } from "@/api/queries";
import { nextDay, startOfDay } from "@/lib/day";
import { type ListSearch, withoutPlace } from "./search";

export type Call = Schemas["Call"];
export type CallDetail = Schemas["CallDetail"];
export type CallStatus = Schemas["CallStatus"];

const ROWS = 100;
const LIVE: ReadonlySet<CallStatus> = new Set(["queued", "ringing", "in_progress"]);

export function isLive(call: { status: CallStatus }): boolean {
  return LIVE.has(call.status);
}

export function listKey(search: ListSearch): readonly unknown[] {
  return ["calls", "list", withoutPlace(search)];
}

function asked(search: ListSearch, zone: string) {
  return {
    limit: ROWS,
    ...(search.q ? { q: search.q } : {}),
    ...(search.direction ? { direction: search.direction } : {}),
    ...(search.status ? { status: search.status } : {}),
    ...(search.flow ? { flow_id: search.flow } : {}),
    ...(search.number ? { number_id: search.number } : {}),
    ...(search.outcome ? { outcome_label: search.outcome } : {}),
    ...(search.tag ? { tag: search.tag } : {}),
    ...(search.contact ? { contact: search.contact } : {}),
    ...(search.from ? { created_from: startOfDay(search.from, zone) } : {}),
    ...(search.to ? { created_to: startOfDay(nextDay(search.to), zone) } : {}),
  };
}

function askCalls(search: ListSearch, zone: string) {
  const query = asked(search, zone);
  return (cursor: string | undefined, signal: AbortSignal) => data(api.GET("/api/calls", { params: { query: cursor ? { ...query, cursor } : query }, signal }));
}

const rowsOf = (page: Schemas["ListCalls"]): Call[] => page.calls;

export function useCalls(search: ListSearch) {
  return useList(listKey(search), askCalls(search, useZone()), rowsOf, true, { isPatched: true });
}

/** While the page is still on its way. */
export function askAhead(search: ListSearch): void {
  const me = heldMe();
  if (me && can(me, "calls:read")) askListAhead(listKey(search), askCalls(search, zoneOf(me)), rowsOf, { isPatched: true });
}

/** The latest turns come with the call; those before, when they are wanted. */
const TURNS = 60;

const askCall = (id: string) => (signal: AbortSignal) => data(api.GET("/api/calls/{id}", { params: { path: { id }, query: { turns: TURNS } }, signal }));

export function useCall(id: string) {
  return useThing(["calls", id], askCall(id));
}

/** While the page of a call is still on its way. */
export function askCallAhead(id: string): void {
  askThingAhead(["calls", id], askCall(id));
}

/** The call as the API has it, with all its turns. */
export function wholeCall(id: string): Promise<CallDetail> {
  return data(api.GET("/api/calls/{id}", { params: { path: { id } } }));
}

/** What was said before; the latest first. */
export function askTurns(id: string, cursor: string): Promise<Schemas["ListCallTurns"]> {
  return data(api.GET("/api/calls/{call_id}/turns", { params: { path: { call_id: id }, query: { cursor, limit: 200 } } }));
}

/** Names of what calls refer to; short lists, held for a while. */
export function useNumbers() {
  return useThing(["numbers", "names"], (signal) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })), { enabled: useCan("numbers:read") });
}
