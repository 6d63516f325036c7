/** What waits for somebody, beside the pages' names in the sidebar; the stream's news refetch them. */
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";

export function useCounts(): Partial<Record<string, number>> {
  const texts = useThing(["inbox", "counts"], (signal) => data(api.GET("/api/sms/inbox", { signal })), { enabled: useCan("sms:read") });
  const board = useThing(["dashboard"], (signal) => data(api.GET("/api/dashboard", { signal })), { enabled: useCan("analytics:read") });
  return {
    ...(texts.data ? { inbox: texts.data.unread.conversations } : {}),
    ...(board.data ? { voicemails: board.data.unheard_voicemails } : {}),
  };
}
