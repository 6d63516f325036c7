/** Which days are shown, as the URL has it, and the days before that they are compared with. */
import { addDays, daysIn, isDay } from "@/lib/days";

export const WINDOWS = { week: 7, month: 30, quarter: 90 } as const;
const DEFAULT_DAYS = 30;
export const MOST_DAYS = 366;

export interface AnalyticsSearch {
  days?: 7 | 90;
  from?: string;
  to?: string;
  agent?: string;
}

export interface Window {
  first: string;
  last: string;
}

export function searchOf(search: Record<string, unknown>): AnalyticsSearch {
  const agent = typeof search["agent"] === "string" && search["agent"] !== "" ? { agent: search["agent"].slice(0, 60) } : {};
  const { from, to } = search;
  if (isDay(from) && isDay(to) && isRight(from, to)) return { from, to, ...agent };
  return { ...(search["days"] === 7 || search["days"] === 90 ? { days: search["days"] } : {}), ...agent };
}

export function isRight(first: string, last: string): boolean {
  return daysIn(first, last) >= 1 && daysIn(first, last) <= MOST_DAYS;
}

export function windowOf(search: AnalyticsSearch, today: string): Window {
  if (search.from && search.to) return { first: search.from, last: search.to };
  return { first: addDays(today, 1 - (search.days ?? DEFAULT_DAYS)), last: today };
}

/** As many days, right before. */
export function before({ first, last }: Window): Window {
  return { first: addDays(first, -daysIn(first, last)), last: addDays(first, -1) };
}
