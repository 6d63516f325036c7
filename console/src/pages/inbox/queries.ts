/** What the inbox asks, and changes; what is changed shows at once and is put right by the answer. */
import { inE164 } from "@/api/phones";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { useAct } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { type News, useNews } from "@/api/live";
import { can, heldMe, useCan } from "@/api/me";
import { asApiError, askListAhead, patchRows, queryClient, useChange, useList, useThing } from "@/api/queries";
import { toast } from "@/ui/toast";
import { type History, withNewest, withOlder } from "./history";
import type { InboxSearch } from "./route";

export type Conversation = Schemas["Conversation"];
export type Run = Schemas["TextRun"];

const PAGE = 50;
const TOUCHED = [["conversations"], ["inbox"]];

function asked({ status, assignee, unread, number, q }: InboxSearch) {
  return {
    ...(status === "closed" ? { status: "closed" as const } : status === "all" ? {} : { status: "open" as const, snoozed: status === "snoozed" }),
    ...(assignee ? { assignee } : {}),
    ...(unread ? { unread } : {}),
    ...(number ? { number_id: number } : {}),
    ...(q ? { q } : {}),
    limit: PAGE,
  };
}

function threads(search: InboxSearch) {
  const query = asked(search);
  const ask = (cursor: string | undefined, signal: AbortSignal) => data(api.GET("/api/sms/conversations", { params: { query: { ...query, ...(cursor ? { cursor } : {}) } }, signal }));
  return [["conversations", "list", query], ask, (page: Schemas["ListConversations"]): Conversation[] => page.conversations] as const;
}

export function useConversations(search: InboxSearch) {
  return useList(...threads(search));
}

/** While the page is still on its way. */
export function askAhead(search: InboxSearch): void {
  const me = heldMe();
  if (me && can(me, "sms:read")) askListAhead(...threads(search));
}

export function useConversation(id: string) {
  return useThing(["conversations", id], (signal) => data(api.GET("/api/sms/conversations/{id}", { params: { path: { id } }, signal })));
}

function messagesPage(id: string, cursor: string | undefined, signal?: AbortSignal) {
  const query = { limit: PAGE, ...(cursor ? { cursor } : {}) };
  return data(api.GET("/api/sms/conversations/{conversation_id}/messages", { params: { path: { conversation_id: id }, query }, ...(signal ? { signal } : {}) }));
}

/** News of messages name the message; the thread is theirs to find. */
function useMessageNews(id: string): void {
  useNews(
    useCallback(
      (news: News) => {
        if (news.type.startsWith("message.") && news["conversation_id"] === id) void queryClient.invalidateQueries({ queryKey: ["conversations", id, "messages"] });
      },
      [id],
    ),
  );
}

/** A thread's messages. News ask for the newest page alone, however far back one has scrolled. */
export function useHistory(id: string) {
  const client = useQueryClient();
  const key = ["conversations", id, "messages"];
  useMessageNews(id);
  const query = useQuery<History>({
    queryKey: key,
    queryFn: async ({ signal }) => withNewest(client.getQueryData(key), await messagesPage(id, undefined, signal)),
  });
  const older = useAct({
    mutationFn: (cursor: string) => messagesPage(id, cursor),
    onSuccess: (page) => client.setQueryData<History>(key, (held) => held && withOlder(held, page)),
  });
  return { ...query, isLoadingOlder: older.isPending, olderError: older.error, loadOlder: older.mutate };
}

/** The newest few messages as the server has them now, past every cache. */
export async function newestMessages(id: string): Promise<Schemas["Message"][]> {
  const query = { limit: 5 };
  return (await data(api.GET("/api/sms/conversations/{conversation_id}/messages", { params: { path: { conversation_id: id }, query } }))).messages;
}

export function useRuns(id: string) {
  const key = ["conversations", id, "runs"];
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => data(api.GET("/api/sms/conversations/{conversation_id}/runs", { params: { path: { conversation_id: id }, query: { limit: 20 } }, signal })),
    refetchInterval: ({ state }) => (state.data?.runs.some((run) => isUnderWay(run)) ? 3000 : false),
  });
}

export function isUnderWay(run: Run): boolean {
  return run.status === "waiting" || run.status === "running";
}

export function useCountsOfInbox() {
  return useThing(["inbox", "counts"], (signal) => data(api.GET("/api/sms/inbox", { signal })));
}

export function useMembers() {
  return useThing(["team", "all"], (signal) => data(api.GET("/api/team", { params: { query: { limit: 200 } }, signal })), { enabled: useCan("team:read") });
}

export function useNumbers() {
  return useThing(["numbers", "all"], (signal) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })), { enabled: useCan("numbers:read") });
}

export function useTemplates(isWanted: boolean) {
  return useThing(["templates", "all"], (signal) => data(api.GET("/api/sms/templates", { params: { query: { limit: 200 } }, signal })), { enabled: isWanted });
}

export function useUnknown() {
  return useThing(["conversations", "unknown", "some"], (signal) => data(api.GET("/api/sms/unknown", { params: { query: { limit: 5 } }, signal })));
}

/** Show a change of a conversation before the server has made it. */
export function showConversation(id: string, change: Partial<Conversation>): void {
  patchRows<Conversation>(["conversations", "list"], id, (row) => ({ ...row, ...change }));
  queryClient.setQueryData<Conversation>(["conversations", id], (old) => old && { ...old, ...change });
}

type Patch = Schemas["ConversationPatch"] & Partial<Pick<Conversation, "status" | "ai_paused">>;

/** Change a conversation; the answer to a refusal is what it was before. */
export function usePatch(): (id: string, patch: Patch, onDone?: () => void) => void {
  const { mutate } = useAct({
    mutationFn: ({ id, patch }: { id: string; patch: Patch; onDone: (() => void) | undefined }) => data(api.PATCH("/api/sms/conversations/{id}", { params: { path: { id } }, body: patch })),
    onSuccess: (_, { onDone }) => onDone?.(),
    onError: (error) => toast.refusal(asApiError(error)),
    onSettled: refetchTouched,
  });
  return (id, patch, onDone) => {
    showConversation(id, patch.ai_paused === undefined ? patch : { ...patch, ai_paused_reason: patch.ai_paused ? "human" : null });
    mutate({ id, patch, onDone });
  };
}

function refetchTouched(): void {
  for (const queryKey of TOUCHED) void queryClient.invalidateQueries({ queryKey });
}

export function useClose(): { close: (id: string, onDone: () => void) => void; reopen: (id: string) => void } {
  const close = useAct({
    mutationFn: ({ id }: { id: string; onDone: () => void }) => api.POST("/api/sms/conversations/{id}/close", { params: { path: { id } } }),
    onSuccess: (_, { onDone }) => onDone(),
    onError: (error) => toast.refusal(asApiError(error)),
    onSettled: refetchTouched,
  });
  const reopen = useAct({
    mutationFn: (id: string) => api.POST("/api/sms/conversations/{id}/reopen", { params: { path: { id } } }),
    onError: (error) => toast.refusal(asApiError(error)),
    onSettled: refetchTouched,
  });
  return {
    close: (id, onDone) => {
      showConversation(id, { status: "closed" });
      close.mutate({ id, onDone });
    },
    reopen: (id) => {
      showConversation(id, { status: "open", snoozed_until: null });
      reopen.mutate(id);
    },
  };
}

/** Nobody is told when this fails: the thread stays unread, and is marked when it is opened again. */
export async function markRead(id: string): Promise<void> {
  showConversation(id, { unread_count: 0 });
  try {
    await api.POST("/api/sms/conversations/{id}/read", { params: { path: { id } } });
  } finally {
    void queryClient.invalidateQueries({ queryKey: ["inbox"] });
  }
}

export function useCancelScheduled(onDone: () => void) {
  return useChange((id: string) => api.DELETE("/api/sms/scheduled/{id}", { params: { path: { id } } }), TOUCHED, { onDone });
}

export function useResolve(onDone: () => void) {
  return useChange(
    ({ id, as, key }: { id: string; as: Schemas["MessageResolution"]; key: string }) =>
      data(api.POST("/api/sms/messages/{id}/resolve", { params: { path: { id }, header: { "Idempotency-Key": key } }, body: { as } })),
    TOUCHED,
    { onDone },
  );
}

export function useOptOut(onDone?: (isOut: boolean) => void) {
  return useChange(
    async ({ e164, isOut }: { e164: string; isOut: boolean }) => {
      if (isOut) await api.POST("/api/sms/opt-outs", { body: { contact_e164: await inE164(e164, "contact_e164") }, params: { header: { "Idempotency-Key": idempotencyKey() } } });
      else await api.DELETE("/api/sms/opt-outs/{contact_e164}", { params: { path: { contact_e164: e164 } } });
      return isOut;
    },
    [...TOUCHED, ["optOuts"], ["contacts"]],
    { onDone: (isOut) => onDone?.(isOut) },
  );
}
