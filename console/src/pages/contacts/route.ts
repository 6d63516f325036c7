import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export interface ContactsSearch {
  q?: string;
  tag?: string;
}

const contacts = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts",
  validateSearch: ({ q, tag }: Record<string, unknown>): ContactsSearch => ({
    ...(q !== undefined && q !== "" ? { q: String(q).slice(0, 200) } : {}),
    ...(tag !== undefined && tag !== "" ? { tag: String(tag).slice(0, 60) } : {}),
  }),
  loader: () => loadTexts("contacts"),
  component: lazyRouteComponent(() => import("./contacts"), "Contacts"),
});

const contact = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts/$id",
  loader: () => loadTexts("contacts"),
  component: lazyRouteComponent(() => import("./contact"), "Contact"),
});

const importContacts = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts/import",
  validateSearch: ({ job }: Record<string, unknown>): { job?: string } => (typeof job === "string" ? { job } : {}),
  loader: () => loadTexts("contacts"),
  component: lazyRouteComponent(() => import("./import"), "ImportContacts"),
});

export const contactRoutes = [contacts, contact, importContacts] as const;
