/** What texts cost, of what was used: segments and texts with files. What an agent's model used for its answers is on the page of usage. */
import type { Schemas } from "@/api/client";

type Cost = Schemas["UsageCost"];
type Figures = Schemas["UsageFigures"];

const SENT = ["segments_sent", "media_messages_sent"];
const RECEIVED = ["segments_received", "media_messages_received"];
/** Decimals of an amount, as many as the API has. */
const DECIMALS = 12;

export interface TextCost {
  sent: Cost[];
  received: Cost[];
  all: Cost[];
  /** Whether everything has a price; if not, it costs more. */
  isPriced: boolean;
}

export function textCostOf({ usage }: Pick<Figures, "usage">): TextCost {
  const lines = (usage?.lines ?? []).filter((each) => [...SENT, ...RECEIVED].includes(each.meter));
  const of = (meters: readonly string[]): Cost[] => sums(lines.flatMap((each) => (each.cost && meters.includes(each.meter) ? [each.cost] : [])));
  const [sent, received] = [of(SENT), of(RECEIVED)];
  return { sent, received, all: sums([...sent, ...received]), isPriced: lines.every((each) => each.basis !== "none") };
}

export type CostGroup = TextCost & { key: string; name: string };

/** What texts cost in some days: all of them, and in groups. */
export interface TextCosts {
  total: TextCost;
  days: CostGroup[];
  numbers: CostGroup[];
  agents: CostGroup[];
}

/** The groups in which texts cost something, or have no price; `nameOf` is what the page calls one. */
export function costGroups(groups: readonly Schemas["UsageGroup"][], nameOf: (group: Schemas["UsageGroup"]) => string): CostGroup[] {
  return groups
    .map((each) => ({ ...textCostOf(each.figures), key: each.date ?? each.number_id ?? each.flow_id ?? "", name: nameOf(each) }))
    .filter((each) => each.all.length > 0 || !each.isPriced);
}

/** Several currencies are not added up; decimals are added exactly. */
export function sums(costs: readonly Cost[]): Cost[] {
  const amounts = new Map<string, bigint>();
  for (const { currency, amount } of costs) amounts.set(currency, (amounts.get(currency) ?? 0n) + units(amount));
  return [...amounts].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([currency, amount]) => ({ currency, amount: plain(amount) }));
}

/** As a cell of a table that programs read: `0.0083 USD`. */
export function costCell(costs: readonly Cost[]): string {
  return costs.map((each) => `${each.amount} ${each.currency}`).join(" + ");
}

function units(amount: string): bigint {
  const [whole = "0", fraction = ""] = amount.split(".");
  return BigInt(whole + fraction.slice(0, DECIMALS).padEnd(DECIMALS, "0"));
}

function plain(amount: bigint): string {
  const digits = String(amount).padStart(DECIMALS + 1, "0");
  return `${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`.replace(/\.?0+$/, "");
}
