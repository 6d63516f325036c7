/** Sending a text once, whatever the network does. */
import { ApiError, api, data, idempotencyKey } from "@/api/client";
import { asApiError, queryClient } from "@/api/queries";
import { fieldSentences } from "@/lib/field-words";
import { type ThreadKey, type Unconfirmed, draftOf, isBlank, isStale, mark, post, settle } from "./drafts";
import { type History, isBehind } from "./history";
import { newestMessages } from "./queries";

/** What kept it from being sent; null when it is on its way. */
export type Hindrance = "behind" | "blank" | null;

/** Look whether something newer came than what is shown, and send. `shown` null: the person has seen the notice and sends anyway. */
export async function sendDraft(thread: ThreadKey, conversationId: string, shown: History | null): Promise<Hindrance> {
  if (isBlank(draftOf(thread))) return "blank";
  if (shown) {
    const newest = await newestMessages(conversationId).catch(() => []); // unreachable: sending will tell
    if (isBehind(shown.messages, newest)) {
      await queryClient.invalidateQueries({ queryKey: ["conversations", conversationId] });
      return "behind";
    }
  }
  const text = post(thread, idempotencyKey(), new Date());
  if (!text) return "blank";
  void deliver(thread, conversationId, text);
  return null;
}

/** Send what is in the outbox; again under the same key, so it is done once. Not once the key may be forgotten: a person decides then. */
export async function deliver(thread: ThreadKey, conversationId: string, text: Unconfirmed): Promise<void> {
  if (isStale(text, Date.now())) return;
  mark(thread, text.key, "sending");
  try {
    const message = await data(
      api.POST("/api/sms/conversations/{conversation_id}/messages", {
        params: { path: { conversation_id: conversationId }, header: { "Idempotency-Key": text.key } },
        body: {
          body: text.body.trim(),
          ...(text.uploads.length ? { upload_ids: text.uploads.map((each) => each.id) } : {}),
          ...(text.scheduledAt ? { scheduled_at: text.scheduledAt } : {}),
          honor_quiet_hours: text.honorQuietHours,
        },
      }),
    );
    queryClient.setQueryData<History>(["conversations", conversationId, "messages"], (held) => held && { ...held, messages: [message, ...held.messages.filter((each) => each.id !== message.id)] });
    settle(thread, text.key);
    void queryClient.invalidateQueries({ queryKey: ["conversations"] });
  } catch (error) {
    const refusal = asApiError(error);
    mark(thread, text.key, isRefused(refusal) ? "refused" : "failed", reasonOf(refusal));
  }
}

/** Codes that say nothing of whether it was taken: under its key something was, or is being. */
const UNDECIDED = new Set(["idempotency_in_progress", "idempotency_mismatch"]);

/** Whether the server has surely not taken it, and would not take it again. */
function isRefused(error: ApiError): boolean {
  return error.status >= 400 && error.status < 500 && !error.isPassing && !UNDECIDED.has(error.code) && error.status !== 401;
}

function reasonOf(error: ApiError): string {
  const fields = fieldSentences(error);
  return fields.length ? fields.join("; ") : error.message;
}
