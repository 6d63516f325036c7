/** The page's figures as a table. Names are the API's, so that scripts can read them in any language; the first column says of what a line is. */
import type { Schemas } from "@/api/client";
import { type CsvCell, toCsv } from "@/lib/csv";
import { type TextCost, type TextCosts, costCell } from "./text-costs";

const CALL_NAMES = ["calls", "inbound", "outbound", "answered", "talk_seconds", "average_seconds", "interruptions", "first_sound_p50_ms", "first_sound_p95_ms", "first_answer_p50_ms", "first_answer_p95_ms", "ours_p95_ms", "model_p95_ms"] as const;
const TEXT_NAMES = ["incoming", "outgoing", "delivered", "failed", "incoming_segments", "outgoing_segments", "replies", "opt_outs", "conversations", "sent_cost", "received_cost", "cost"] as const;

/** All that is shown of calls; `nameOf` is what the page calls an agent. */
export function callSheet(figures: Schemas["GetAnalytics"], nameOf: (flow: string | null) => string): string {
  const line = (of: string, name: string, cells: Partial<Record<(typeof CALL_NAMES)[number], CsvCell>>): CsvCell[] => [of, name, ...CALL_NAMES.map((each) => cells[each])];
  return toCsv(
    ["of", "name", ...CALL_NAMES],
    [
      line("total", "", figures.totals),
      ...figures.days.map((each) => line("day", each.date, each.figures)),
      ...figures.hours.map((each) => line("hour", `${each.weekday} ${String(each.hour).padStart(2, "0")}:00`, each)),
      ...figures.flows.map((each) => line("agent", nameOf(each.flow_id), each)),
      ...figures.outcomes.map((each) => line("outcome", each.name ?? "", each)),
      ...figures.tags.map((each) => line("tag", each.name ?? "", each)),
      ...figures.statuses.map((each) => line("status", each.name ?? "", each)),
    ],
  );
}

function costCells({ sent, received, all }: TextCost): { sent_cost: string; received_cost: string; cost: string } {
  return { sent_cost: costCell(sent), received_cost: costCell(received), cost: costCell(all) };
}

/** All that is shown of texts; without costs for one who may not see them. */
export function textSheet(figures: Schemas["GetTextAnalytics"], costs: TextCosts | undefined): string {
  const byDay = new Map(costs?.days.map((each) => [each.key, costCells(each)]));
  const line = (of: string, name: string, cells: Partial<Record<(typeof TEXT_NAMES)[number], CsvCell>>): CsvCell[] => [of, name, ...TEXT_NAMES.map((each) => cells[each])];
  return toCsv(
    ["of", "name", ...TEXT_NAMES],
    [
      line("total", "", { ...figures.totals, ...(costs && costCells(costs.total)) }),
      ...figures.days.map((each) => line("day", each.date, { ...each.figures, ...byDay.get(each.date) })),
      ...(["people", "agents", "api", "nobody"] as const).map((each) => line("answered_by", each, { conversations: figures.answered[each] })),
      ...figures.senders.map((each) => line("sender", each.sent_by, each)),
      ...figures.campaigns.map((each) => line("campaign", each.name, each)),
      ...(costs?.numbers ?? []).map((each) => line("number", each.name, costCells(each))),
      ...(costs?.agents ?? []).map((each) => line("agent", each.name, costCells(each))),
    ],
  );
}
