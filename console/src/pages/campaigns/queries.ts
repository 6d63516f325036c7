import { useQuery } from "@tanstack/react-query";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import { type Audience, partsOf } from "./audience";

const RUNNING_MS = 10_000;

export type Campaign = Schemas["Campaign"];
export type Forecast = Schemas["CampaignForecast"];

export function useCampaign(id: string) {
  return useQuery({
    queryKey: ["campaigns", id],
    queryFn: ({ signal }) => data(api.GET("/api/sms/campaigns/{id}", { params: { path: { id } }, signal })),
    // The stream tells each change; this is for when it is away.
    refetchInterval: ({ state }) => (state.data?.status === "running" || state.data?.status === "queued" ? RUNNING_MS : false),
  });
}

export function useTextNumbers() {
  const query = useThing(["numbers", "all"], (signal) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })), { enabled: useCan("numbers:read") });
  return (query.data?.numbers ?? []).filter((each) => each.sms_enabled);
}

export interface Added {
  added: number;
  duplicates: number;
  invalid: number;
}

/** Add an audience page by page. Each page has a key of its own, so that going on after a break adds nobody twice. */
export async function addAudience(campaignId: string, audience: Audience, key: string, onProgress: (share: number) => void): Promise<Added> {
  const send = (body: Schemas["AddCampaignRecipientsRequestInput"], page: number): Promise<Schemas["AddCampaignRecipients"]> =>
    data(api.POST("/api/sms/campaigns/{campaign_id}/recipients", { params: { path: { campaign_id: campaignId }, header: { "Idempotency-Key": `${key}-${page}` } }, body }));
  if (audience.kind === "tag") return send({ tag: audience.tag }, 0);
  const sum: Added = { added: 0, duplicates: 0, invalid: 0 };
  const parts = partsOf(audience);
  for (const [at, part] of parts.entries()) {
    const recipients = part();
    if (recipients.length === 0) continue;
    // One after the other: their order is the order of sending.
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send({ recipients }, at);
    sum.added += answer.added;
    sum.duplicates += answer.duplicates;
    sum.invalid += answer.invalid;
    onProgress((at + 1) / parts.length);
  }
  return sum;
}

export type RecipientCounts = Omit<Schemas["CampaignCounts"], "total" | "duplicates">;

/** How much of a campaign's texts is over, and how much of that went well; who gets none, as they opted out, is no part of it. */
export function progressOf(counts: Schemas["CampaignCounts"]): { done: number; good: number; bad: number } {
  const meant = counts.total - counts.opted_out - counts.skipped;
  if (meant <= 0) return { done: counts.total === 0 ? 0 : 1, good: 0, bad: 0 };
  const good = (counts.sent + counts.delivered) / meant;
  const bad = (counts.failed + counts.unknown) / meant;
  return { done: good + bad + counts.canceled / meant, good, bad };
}
