/** The sections of texts, one line each; English says what each holds. */
export interface Sections {
  account: typeof import("./en/account").default;
  admin: typeof import("./en/admin").default;
  agentForm: typeof import("./en/agentForm").default;
  agents: typeof import("./en/agents").default;
  analytics: typeof import("./en/analytics").default;
  apiKeys: typeof import("./en/apiKeys").default;
  approvals: typeof import("./en/approvals").default;
  auditLog: typeof import("./en/auditLog").default;
  banners: typeof import("./en/banners").default;
  billing: typeof import("./en/billing").default;
  call: typeof import("./en/call").default;
  calls: typeof import("./en/calls").default;
  campaigns: typeof import("./en/campaigns").default;
  contacts: typeof import("./en/contacts").default;
  crm: typeof import("./en/crm").default;
  describe: typeof import("./en/describe").default;
  events: typeof import("./en/events").default;
  forms: typeof import("./en/forms").default;
  home: typeof import("./en/home").default;
  inbox: typeof import("./en/inbox").default;
  json: typeof import("./en/json").default;
  knowledge: typeof import("./en/knowledge").default;
  mcpServers: typeof import("./en/mcpServers").default;
  numbers: typeof import("./en/numbers").default;
  search: typeof import("./en/search").default;
  settings: typeof import("./en/settings").default;
  shell: typeof import("./en/shell").default;
  team: typeof import("./en/team").default;
  tools: typeof import("./en/tools").default;
  triggers: typeof import("./en/triggers").default;
  try: typeof import("./en/try").default;
  voicemails: typeof import("./en/voicemails").default;
  webhooks: typeof import("./en/webhooks").default;
  welcome: typeof import("./en/welcome").default;
}
