/** Costs as the API writes them: decimal texts of one or more currencies. */
import type { Schemas } from "@/api/client";
import { money } from "@/lib/format";

type Cost = Schemas["UsageCost"];

/** As people read them; several currencies are not added up. */
export function costText(costs: readonly Cost[] | undefined): string {
  const known = (costs ?? []).filter((each) => Number(each.amount) !== 0);
  return known.length === 0 ? "–" : known.map((each) => money(Number(each.amount) * 1_000_000, each.currency)).join(" + ");
}

/** Of one currency, for a chart. */
export function amountIn(costs: readonly Cost[] | undefined, currency: string): number {
  return Number(costs?.find((each) => each.currency === currency)?.amount ?? 0);
}

/** How much of a limit is used, and how serious that is. */
export function shareOf({ used, limit, reached }: { used: number; limit: number | null; reached: boolean }): { share: number; tone: "accent" | "warn" | "bad" } {
  if (limit === null) return { share: 0, tone: "accent" };
  const share = limit === 0 ? 1 : used / limit;
  return { share, tone: reached ? "bad" : share >= 0.8 ? "warn" : "accent" };
}

/** Whether a plan allows less of something than another. */
export function isSmaller(plan: Schemas["Plan"], than: Schemas["Plan"]): boolean {
  const limits = ["numbers", "minutes", "messages", "seats"] as const;
  return limits.some((each) => (plan[each] ?? Number.POSITIVE_INFINITY) < (than[each] ?? Number.POSITIVE_INFINITY));
}
