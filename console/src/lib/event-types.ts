/** The types of events that customers see, as the API's document names them. */
import type { webhooks } from "@/api/schema";

export type EventType = keyof webhooks;

export const EVENT_TYPES = [
  "agent.run_completed",
  "appointment.booked",
  "appointment.canceled",
  "appointment.conflict",
  "appointment.moved",
  "appointment.no_show",
  "appointment.pending",
  "appointment.refused",
  "appointment.unkept_promise",
  "approval.decided",
  "approval.requested",
  "call.completed",
  "call.corrected",
  "call.flow_switched",
  "call.outcome",
  "call.started",
  "call.summary",
  "call.transfer",
  "call.transfer_not_taken",
  "campaign.canceled",
  "campaign.completed",
  "campaign.failed",
  "campaign.launched",
  "campaign.paused",
  "conversation.assigned",
  "conversation.closed",
  "conversation.outcome",
  "conversation.reopened",
  "conversation.started",
  "external.*",
  "knowledge.failed",
  "knowledge.ready",
  "limit.warning",
  "mcp_tool.accepted",
  "mcp_tool.suspended",
  "sms.delivered",
  "sms.failed",
  "sms.opt_in",
  "sms.opt_out",
  "sms.received",
  "sms.region_refused",
  "sms.sent",
  "subscription.changed",
  "voicemail.received",
  "voicemail.transcribed",
  "webhook.disabled",
  "webhook.failing",
  "webhook.test",
] as const satisfies readonly EventType[];

/** Fails to compile when the API has a type that isn't listed here. */
export const ALL_ARE_LISTED: Exclude<EventType, (typeof EVENT_TYPES)[number]> extends never ? true : false = true;

/** What a webhook may be sent by choice: a test is sent by its button alone. */
export const CHOICES: readonly EventType[] = EVENT_TYPES.filter((each) => each !== "webhook.test");

/** `sms` of `sms.received`. */
export function kindOf(type: string): string {
  return type.split(".")[0] ?? type;
}

/** The kinds with their types, in order. */
export const KINDS: readonly { kind: string; types: readonly EventType[] }[] = [...new Set(CHOICES.map(kindOf))].map((kind) => ({ kind, types: CHOICES.filter((each) => kindOf(each) === kind) }));
