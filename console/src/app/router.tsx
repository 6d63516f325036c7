/** Every page, one line each. A page's own folder says its path, what its URL may hold, and loads the rest when it is opened. */
import { createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { accountRoute } from "@/pages/account/route";
import { requestsRoute } from "@/pages/admin/route";
import { agentRoute, agentsRoute, newAgentRoute } from "@/pages/agents/route";
import { analyticsRoutes } from "@/pages/analytics/route";
import { apiKeysRoute } from "@/pages/api-keys/route";
import { approvalsRoute } from "@/pages/approvals/route";
import { auditLogRoute } from "@/pages/audit-log/route";
import { billingRoute } from "@/pages/billing/route";
import { blockedRoute, callRoute, callsRoute, scheduledCallsRoute } from "@/pages/calls/route";
import { campaignRoutes } from "@/pages/campaigns/route";
import { contactRoutes } from "@/pages/contacts/route";
import { connectorRoute, crmRoute } from "@/pages/crm/route";
import { eventsRoute } from "@/pages/events/route";
import { homeRoute } from "@/pages/home/route";
import { inboxRoutes } from "@/pages/inbox/route";
import { documentRoute, knowledgeRoute } from "@/pages/knowledge/route";
import { mcpServerRoute, mcpServersRoute } from "@/pages/mcp-servers/route";
import { buyNumberRoute, numberRoute, numbersRoute } from "@/pages/numbers/route";
import { settingsRoute } from "@/pages/settings/route";
import { signInRoute } from "@/pages/sign-in/route";
import { teamRoute } from "@/pages/team/route";
import { toolsRoutes } from "@/pages/tools/route";
import { triggerRoute, triggersRoute } from "@/pages/triggers/route";
import { voicemailsRoute } from "@/pages/voicemails/route";
import { newWebhookRoute, webhookRoute, webhooksRoute } from "@/pages/webhooks/route";
import { welcomeRoute } from "@/pages/welcome/route";
import { Crashed } from "./failures";
import { rootRoute, shellRoute } from "./roots";

/** Any other path: within the frame, so that one can go on from there, or sign out. */
const unknownRoute = createRoute({ getParentRoute: () => shellRoute, path: "$", component: lazyRouteComponent(() => import("./unknown"), "Unknown") });

const routeTree = rootRoute.addChildren([
  signInRoute,
  shellRoute.addChildren([
    accountRoute,
    agentRoute,
    agentsRoute,
    ...analyticsRoutes,
    apiKeysRoute,
    approvalsRoute,
    auditLogRoute,
    billingRoute,
    blockedRoute,
    buyNumberRoute,
    callRoute,
    callsRoute,
    ...campaignRoutes,
    connectorRoute,
    ...contactRoutes,
    crmRoute,
    documentRoute,
    eventsRoute,
    homeRoute,
    ...inboxRoutes,
    knowledgeRoute,
    mcpServerRoute,
    mcpServersRoute,
    newAgentRoute,
    newWebhookRoute,
    numberRoute,
    numbersRoute,
    requestsRoute,
    scheduledCallsRoute,
    settingsRoute,
    teamRoute,
    ...toolsRoutes,
    triggerRoute,
    triggersRoute,
    unknownRoute,
    voicemailsRoute,
    webhookRoute,
    webhooksRoute,
    welcomeRoute,
  ]),
]);

export const router = createRouter({
  routeTree,
  search: { strict: true }, // a page gets what its route has validated, and nothing else of the address
  defaultPreload: "intent",
  defaultPreloadDelay: 30,
  defaultPendingMs: 400,
  scrollRestoration: true,
  defaultErrorComponent: Crashed,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
