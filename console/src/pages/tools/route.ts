import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

const pages = () => import("./pages");
const loader = (): Promise<void> => loadTexts("tools", "forms", "json");

export const toolsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/tools",
  loader,
  component: lazyRouteComponent(pages, "Tools"),
});

export const secretsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/tools/secrets",
  loader,
  component: lazyRouteComponent(pages, "Secrets"),
});

export interface ExecutionsSearch {
  status?: "running" | "ok" | "failed";
  tool?: string;
  flow_id?: string;
  call_id?: string;
  conversation_id?: string;
}

export const executionsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/tools/executions",
  validateSearch: (search: Record<string, unknown>): ExecutionsSearch => {
    const status = (["running", "ok", "failed"] as const).find((each) => each === search["status"]);
    return { ...(status ? { status } : {}), ...text("tool", search, 200), ...text("flow_id", search, 60), ...text("call_id", search, 60), ...text("conversation_id", search, 60) };
  },
  loader,
  component: lazyRouteComponent(pages, "Executions"),
});

export const newToolRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/tools/new",
  loader,
  component: lazyRouteComponent(pages, "NewTool"),
});

export interface ToolSearch {
  tab?: "versions";
  /** The version that is compared with the one before it. */
  version?: number;
}

export const toolRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/tools/$id",
  validateSearch: ({ tab, version }: Record<string, unknown>): ToolSearch => ({
    ...(tab === "versions" ? { tab } : {}),
    ...(Number.isInteger(version) && Number(version) > 0 ? { version: Number(version) } : {}),
  }),
  loader,
  component: lazyRouteComponent(pages, "ToolPage"),
});

export const toolsRoutes = [toolsRoute, secretsRoute, executionsRoute, newToolRoute, toolRoute] as const;

function text<N extends string>(name: N, search: Record<string, unknown>, most: number): Partial<Record<N, string>> {
  const value = search[name];
  return typeof value === "string" && value !== "" ? ({ [name]: value.slice(0, most) } as Partial<Record<N, string>>) : {};
}
