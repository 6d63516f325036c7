/** The two roots: everything, and everything behind the sign-in. */
import { Outlet, createRootRoute, createRoute, redirect } from "@tanstack/react-router";
import { ApiError } from "@/api/client";
import { meQuery } from "@/api/me";
import { queryClient } from "@/api/queries";
import { loadTexts } from "@/i18n";
import { Shell } from "./shell";
import { ShellSkeleton } from "./skeleton";

export const rootRoute = createRootRoute({ component: Outlet, loader: () => loadTexts("shell") });

export const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "shell",
  beforeLoad: async ({ location }) => {
    await loadTexts("shell");
    try {
      const me = await queryClient.ensureQueryData(meQuery);
      // The first page doesn't wait for it.
      void import("@/lib/kept").then(({ keepWorkOf }) => keepWorkOf(me.user?.id ?? ""));
      if (!me.organization && location.pathname !== "/welcome") throw redirect({ to: "/welcome" });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) throw redirect({ to: "/sign-in", search: { return_to: location.href } });
      throw error;
    }
  },
  component: Shell,
  pendingComponent: ShellSkeleton,
  pendingMs: 0,
  pendingMinMs: 0,
});
