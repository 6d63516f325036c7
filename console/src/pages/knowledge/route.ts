import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export interface KnowledgeSearch {
  tab?: "search";
  /** What is looked up on the tab of searches. */
  q?: string;
}

const pages = () => import("./pages");
const loader = (): Promise<void> => loadTexts("knowledge");

export const knowledgeRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/knowledge",
  validateSearch: ({ tab, q }: Record<string, unknown>): KnowledgeSearch => ({
    ...(tab === "search" ? { tab } : {}),
    ...(typeof q === "string" && q !== "" ? { q: q.slice(0, 500) } : {}),
  }),
  loader,
  component: lazyRouteComponent(pages, "Knowledge"),
});

export const documentRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/knowledge/$id",
  loader,
  component: lazyRouteComponent(pages, "DocumentPage"),
});
