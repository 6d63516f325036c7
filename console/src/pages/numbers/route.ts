import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";
import { type Wishes, wishesOf } from "./wishes";

const loader = (): Promise<void> => loadTexts("numbers");

export const numbersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/numbers",
  loader,
  component: lazyRouteComponent(() => import("./numbers"), "Numbers"),
});

export const buyNumberRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/numbers/buy",
  validateSearch: (search: Record<string, unknown>): Wishes => wishesOf(search),
  loader,
  component: lazyRouteComponent(() => import("./buy"), "BuyNumber"),
});

export const numberRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/numbers/$numberId",
  loader,
  component: lazyRouteComponent(() => import("./number"), "NumberPage"),
});
