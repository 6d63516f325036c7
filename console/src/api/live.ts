/** News of the organization, as they happen: each refetches or patches what it concerns, in every tab. */
import { type InfiniteData, type Query, type QueryClient, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { ApiError, type Schemas } from "./client";
import { connect } from "./connection";
import { meQuery } from "./me";
import { patchRows } from "./queries";
import type { News, State } from "./stream";

export type { News };

type Link = "connecting" | "open" | "lost";

let link: Link = "connecting";
const watchers = new Set<() => void>();
const listeners = new Set<(news: News) => void>();

function setLink(next: Link): void {
  if (link === next) return;
  link = next;
  for (const watcher of watchers) watcher();
}

/** Whether what is shown is kept up to date at this moment. */
export function useLink(): Link {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => link,
  );
}

/** Be told all news while the page is shown. */
export function useNews(listener: (news: News) => void): void {
  useEffect(() => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, [listener]);
}

/** Which queries an event touches: by the first part of its name, or by the kind of what it names. */
const TOUCHES: Record<string, string[]> = {
  call: ["calls", "dashboard"],
  conversation: ["conversations", "inbox"],
  message: ["conversations", "inbox"],
  voicemail: ["voicemails", "dashboard"],
  approval: ["approvals", "dashboard"],
  campaign: ["campaigns"],
  contact: ["contacts"],
  number: ["numbers"],
  flow: ["flows"],
  webhook: ["webhooks"],
  knowledge: ["knowledge"],
  tool: ["tools"],
  mcp_server: ["mcp-servers"],
  crm_connector: ["crm"],
};

/** What the stream tells nothing of: asked again when one comes back to the tab. What never changes, or is asked for by a press, is not among them. */
const UNTOLD = new Set(["api-keys", "audit-log", "billing", "blocklist", "emails", "events", "me", "optOuts", "organization", "team", "templates", "tool-executions", "tool-secrets", "triggers", "usage"]);

/** News come in bursts: what several of them touch is asked once. */
const GATHER_MS = 250;
/** A list that is scrolled far is not asked again as a whole; its rows are replaced in place. */
const MOST_PAGES_AGAIN = 2;

/** The nouns an event touches, and of whose detail it alone is. */
export function touched(news: News): { nouns: string[]; id: string | undefined } {
  const isNamed = news.type.startsWith("resource.");
  const kind = isNamed ? (news as unknown as Schemas["ChangedResource"]).kind : news.type.split(".")[0];
  const nouns = TOUCHES[kind ?? ""] ?? [];
  return { nouns: [...nouns], id: news.id };
}

/** Whether news of things with these ids refetch a query: its lists, and the details of those things alone. */
export function isConcerned(key: QueryKey, noun: string, ids: ReadonlySet<string>): boolean {
  if (key[0] !== noun) return false;
  const [, second] = key;
  const isDetail = typeof second === "string" && /^([a-z]+_)?[0-9A-Z]{26}$/.test(second);
  return !isDetail || ids.has(second);
}

function isShort(query: Query): boolean {
  const found = query.state.data as Partial<InfiniteData<unknown>> | undefined;
  return query.meta?.["isPatched"] !== true && (found?.pages?.length ?? 0) <= MOST_PAGES_AGAIN;
}

/** Whether somebody, or another tab, may have changed it without a word. */
export function isUntold(key: QueryKey): boolean {
  return UNTOLD.has(String(key[0]));
}

/** Gathers what is touched for a moment, and asks for it then; for what is on its way already, once that has come: news never keep a list from arriving. */
export class Gathered {
  private nouns = new Map<string, Set<string>>();
  /** The queries to ask, by their hashes. */
  private due = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly client: QueryClient) {}

  add(news: News): void {
    const { nouns, id } = touched(news);
    for (const noun of nouns) {
      const ids = this.nouns.get(noun) ?? new Set<string>();
      if (id) ids.add(id);
      this.nouns.set(noun, ids);
    }
    const { type, ...row } = news;
    if (id && type.endsWith(".updated")) for (const noun of nouns) patchRows<{ id: string }>([noun], id, (old) => ({ ...old, ...row }));
    this.timer ??= setTimeout(() => this.ask(), GATHER_MS);
  }

  private ask(): void {
    const all = [...this.nouns];
    this.nouns = new Map();
    const touchedOnes = this.client.getQueryCache().findAll({ predicate: (query) => this.due.has(query.queryHash) || (isShort(query) && all.some(([noun, ids]) => isConcerned(query.queryKey, noun, ids))) });
    this.due.clear();
    for (const { queryHash, queryKey, state } of touchedOnes) {
      if (state.fetchStatus === "fetching") this.due.add(queryHash);
      else void this.client.invalidateQueries({ queryKey, exact: true });
    }
    this.timer = this.due.size > 0 ? setTimeout(() => this.ask(), GATHER_MS) : undefined;
  }
}

/** Connect while the shell is shown. Asks everything again after a break: news may have been missed. */
export function useLive(): void {
  const client = useQueryClient();
  useEffect(() => {
    const gathered = new Gathered(client);
    const connection = connect((message) => {
      if ("state" in message) return take(message.state);
      const { news } = message;
      if (news.type === "resync") void client.invalidateQueries({ predicate: (query) => query.state.data !== undefined }, { cancelRefetch: false });
      else gathered.add(news);
      for (const listener of listeners) listener(news);
      return undefined;
    });
    let wasLost = false;
    const take = (state: State): void => {
      // The stream goes on where it broke; what it has no news of is asked again.
      if (state === "open" && wasLost) void client.invalidateQueries({ predicate: isShort, refetchType: "active" });
      if (state !== "connecting") wasLost = state !== "open";
      setLink(state === "open" || state === "connecting" ? state : "lost");
      if (state !== "refused") return;
      // Over is a session that `/api/me` does not know: the shell goes to the sign-in. Anything else is tried again.
      client.fetchQuery({ ...meQuery, staleTime: 0 }).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) connection.stop();
      });
    };
    const woken = (): void => {
      if (document.visibilityState !== "visible") return;
      connection.again();
      void client.invalidateQueries({ predicate: (query) => isShort(query) && isUntold(query.queryKey), refetchType: "active" });
    };
    document.addEventListener("visibilitychange", woken);
    window.addEventListener("pageshow", woken);
    window.addEventListener("online", woken);
    return () => {
      document.removeEventListener("visibilitychange", woken);
      window.removeEventListener("pageshow", woken);
      window.removeEventListener("online", woken);
      connection.leave();
    };
  }, [client]);
}
