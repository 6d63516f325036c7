/** The pages of the sidebar and the palette, in their order; what a role may not see isn't offered. */
import { type Me, type Permission, can } from "@/api/me";
import type { Sections } from "@/i18n/sections";

export interface NavItem {
  to: string;
  label: keyof Sections["shell"]["nav"];
  needs?: Permission;
  /** Its scope includes what others may do too, but this page is for admins. */
  isForAdmins?: boolean;
  /** It tells of the whole organization: not for members who see some numbers and agents only. */
  isWhole?: boolean;
  /** After `g`: `g c` goes to the calls. */
  key?: string;
}

export const NAV: { label: keyof Sections["shell"]["navGroups"]; items: NavItem[] }[] = [
  {
    label: "work",
    items: [
      { to: "/", label: "home", key: "h" },
      { to: "/calls", label: "calls", needs: "calls:read", key: "c" },
      { to: "/inbox", label: "inbox", needs: "sms:read", key: "i" },
      { to: "/voicemails", label: "voicemails", needs: "calls:read", key: "v" },
      { to: "/approvals", label: "approvals", needs: "approvals:read", key: "p" },
      { to: "/contacts", label: "contacts", needs: "contacts:read", isWhole: true, key: "o" },
      { to: "/campaigns", label: "campaigns", needs: "campaigns:read", key: "m" },
    ],
  },
  {
    label: "build",
    items: [
      { to: "/agents", label: "agents", needs: "flows:read", key: "a" },
      { to: "/numbers", label: "numbers", needs: "numbers:read", key: "n" },
      { to: "/knowledge", label: "knowledge", needs: "knowledge:read", key: "k" },
      { to: "/tools", label: "tools", needs: "integrations:read", key: "t" },
      { to: "/mcp-servers", label: "mcpServers", needs: "integrations:read" },
      { to: "/crm", label: "crm", needs: "integrations:read" },
      { to: "/webhooks", label: "webhooks", needs: "webhooks:read", isWhole: true, key: "w" },
      { to: "/triggers", label: "triggers", needs: "integrations:read" },
      { to: "/events", label: "events", needs: "webhooks:read", isWhole: true, key: "e" },
    ],
  },
  {
    label: "run",
    items: [
      { to: "/analytics", label: "analytics", needs: "analytics:read", key: "y" },
      { to: "/team", label: "team", needs: "team:read" },
      { to: "/api-keys", label: "apiKeys", isForAdmins: true },
      { to: "/audit-log", label: "auditLog", isForAdmins: true },
      { to: "/billing", label: "billing", needs: "usage:read" },
      { to: "/settings", label: "settings", needs: "team:read", key: "s" },
      { to: "/admin/organizations", label: "requests", needs: "site:admin" },
    ],
  },
];

export function isShown(item: NavItem, me: Me): boolean {
  return (!item.needs || can(me, item.needs)) && (!item.isForAdmins || me.role === "admin") && !(item.isWhole && me.limited);
}
