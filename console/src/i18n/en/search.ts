/** The palette: Ctrl K. */
export default {
  placeholder: "Find a person, a call, a page…",
  searching: "Searching…",
  failed: "The search failed.",
  found: (count: number) => (count === 1 ? "1 result" : `${count} results`),
  kinds: { contact: "Contacts", call: "Calls", conversation: "Conversations", flow: "Agents", campaign: "Campaigns" },
  /** What tells agents and campaigns apart. */
  states: { voice: "Phone calls", sms: "Texts", draft: "Draft", queued: "Queued", running: "Running", paused: "Paused", completed: "Completed", canceled: "Canceled", failed: "Failed" } as Record<string, string>,
};
