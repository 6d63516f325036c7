/** Events: what happened, in order. */
import { plural } from "../language";

export default {
  title: "Events",
  lead: "What happened, as webhooks and agents get it. The same list is at GET /api/events.",
  event: "Event",
  filters: "Filters",
  type: "Type",
  anyType: "All types",
  order: "Order",
  newestFirst: "Newest first",
  oldestFirst: "Oldest first",
  newOnes: (count: number) => plural(count, { one: "new one", other: "new ones" }),
  data: "Data",
  when: "When",
  version: "Version",
  notInList: "This one is further down the list, or was deleted.",
  noneOfType: "None of this type",
  emptyTitle: "Nothing has happened yet",
  emptyLead: "Calls, texts, voicemails and what becomes of them are listed here as they happen. A webhook brings them to your server.",
  toWebhooks: "Webhooks",
  places: { call: "The call", conversation: "The conversation", agent: "The agent", number: "The number", webhook: "The webhook", trigger: "The trigger", approval: "The approval" },
};
