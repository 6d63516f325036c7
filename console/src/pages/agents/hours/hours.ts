/** A week of business hours as an editor has it: spans of minutes, which may go beyond midnight. What is open when, the API tells. */
import { isObject } from "@/ui/schema-form/schema";

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];
/** From minute to minute of its day; an end beyond 1440 is on the next day. */
export interface Span {
  from: number;
  to: number;
}
export type Week = Record<Day, Span[]>;

export const DAY_MINUTES = 1440;
export const STEP_MINUTES = 15;

export function emptyWeek(): Week {
  return { mon: [], tue: [], wed: [], thu: [], fri: [], sat: [], sun: [] };
}

/** Nine to five on weekdays: what most begin with. */
export function usualWeek(): Week {
  const week = emptyWeek();
  for (const day of DAYS.slice(0, 5)) week[day] = [{ from: 9 * 60, to: 17 * 60 }];
  return week;
}

/** The week of a `business_hours_json`; what can't be read is left out. */
export function weekOf(value: unknown): Week {
  const week = emptyWeek();
  const weekly = isObject(value) && isObject(value["weekly"]) ? value["weekly"] : {};
  for (const day of DAYS) {
    const spans = weekly[day];
    week[day] = Array.isArray(spans) ? spans.map(spanOf).filter((each) => each !== null) : [];
  }
  return week;
}

function spanOf(pair: unknown): Span | null {
  if (!Array.isArray(pair)) return null;
  const [from, to] = [minutesOf(pair[0]), minutesOf(pair[1])];
  if (from === null || to === null) return null;
  return { from, to: to <= from ? to + DAY_MINUTES : to };
}

/** As the API has it: days without hours are left out. */
export function weeklyOf(week: Week): Partial<Record<Day, [string, string][]>> {
  return Object.fromEntries(DAYS.filter((day) => week[day].length > 0).map((day) => [day, week[day].map((each) => [clockOf(each.from), clockOf(each.to)])]));
}

export function minutesOf(clock: unknown): number | null {
  const found = typeof clock === "string" ? /^(\d\d):(\d\d)$/.exec(clock) : null;
  if (!found) return null;
  const minutes = Number(found[1]) * 60 + Number(found[2]);
  return minutes <= DAY_MINUTES && Number(found[2]) < 60 ? minutes : null;
}

/** `24:00` is midnight at a day's end. */
export function clockOf(minutes: number): string {
  const within = minutes > DAY_MINUTES ? minutes - DAY_MINUTES : minutes;
  return `${String(Math.floor(within / 60)).padStart(2, "0")}:${String(within % 60).padStart(2, "0")}`;
}

/** A day's spans in order. None is lost: that two overlap is for a person to put right. */
export function inOrder(spans: readonly Span[]): Span[] {
  return spans.toSorted((a, b) => a.from - b.from);
}

/** Which of a day's spans begin before another one, that began earlier, ends. */
export function overlapping(spans: readonly Span[]): number[] {
  const isIn = (span: Span, at: number) => spans.some((other, before) => before !== at && (other.from < span.from || (other.from === span.from && before < at)) && span.from < other.to);
  return [...spans.keys()].filter((at) => spans[at] && isIn(spans[at], at));
}

/** The places in `business_hours_json` that overlap, as the API names fields. */
export function overlapsOf(value: unknown): string[] {
  const week = weekOf(value);
  return DAYS.flatMap((day) => overlapping(week[day]).map((at) => `business_hours_json.weekly.${day}[${at}]`));
}

/** A span moved as a whole, as far as its day goes. */
export function moved(span: Span, by: number): Span {
  const step = Math.max(-span.from, Math.min(by, DAY_MINUTES - STEP_MINUTES - span.from));
  return { from: span.from + step, to: span.to + step };
}

/** A span with another beginning or end; never empty, never longer than a day. */
export function resized(span: Span, edge: "from" | "to", by: number): Span {
  if (edge === "from") return { from: Math.max(0, span.to - DAY_MINUTES, Math.min(span.from + by, span.to - STEP_MINUTES, DAY_MINUTES - STEP_MINUTES)), to: span.to };
  return { from: span.from, to: Math.min(span.from + DAY_MINUTES, Math.max(span.to + by, span.from + STEP_MINUTES)) };
}

/** A span typed as two times; the second is of the next day if it isn't later. */
export function typed(from: string, to: string): Span | null {
  return spanOf([from, to === "00:00" ? "24:00" : to]);
}

/** Hours that a day could have next: after its last ones, or what is usual. */
export function nextSpan(spans: readonly Span[]): Span | null {
  const last = spans.at(-1);
  if (!last) return { from: 9 * 60, to: 17 * 60 };
  const from = last.to + 60;
  return from + 60 <= DAY_MINUTES ? { from, to: Math.min(DAY_MINUTES, from + 180) } : null;
}

export function snapped(minutes: number): number {
  return Math.max(0, Math.min(DAY_MINUTES, Math.round(minutes / STEP_MINUTES) * STEP_MINUTES));
}

export function isDay(text: unknown): text is string {
  return typeof text === "string" && /^\d{4}-\d\d-\d\d$/.test(text);
}
