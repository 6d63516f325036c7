/** A week of business hours as one edits it. The API keeps only the days that are open, and `24:00` for the end of a day. */
import type { Schemas } from "@/api/client";

export type BusinessHours = Schemas["BusinessHoursJson"];
export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];

/** Local times as `<input type=time>` has them; a span whose end is not after its begin ends on the next day. */
export interface Span {
  opens: string;
  closes: string;
}
export type Week = Record<Day, Span[]>;
export type Fault = "order" | "empty" | "same" | "allClosed";

export const OFFICE: Span = { opens: "09:00", closes: "17:00" };

export function weekOf(hours: BusinessHours | null): Week {
  const of = (day: Day): Span[] => (hours?.weekly[day] ?? []).map(([opens = "", closes = ""]) => ({ opens, closes: closes === "24:00" ? "00:00" : closes }));
  return { mon: of("mon"), tue: of("tue"), wed: of("wed"), thu: of("thu"), fri: of("fri"), sat: of("sat"), sun: of("sun") };
}

/** A new week for who begins: Monday to Friday. */
export function officeWeek(): Week {
  return { mon: [OFFICE], tue: [OFFICE], wed: [OFFICE], thu: [OFFICE], fri: [OFFICE], sat: [], sun: [] };
}

export function hoursOf(week: Week, zone: string, holidays: readonly string[]): BusinessHours {
  const open = DAYS.filter((day) => week[day].length > 0);
  const spans = (day: Day): [string, string][] => week[day].map(({ opens, closes }) => [opens, closes === "00:00" ? "24:00" : closes]);
  return {
    weekly: Object.fromEntries(open.map((day) => [day, spans(day)])),
    ...(zone ? { time_zone: zone } : {}),
    ...(holidays.length ? { holidays: holidays.toSorted() } : {}),
  } as BusinessHours;
}

export function isOvernight({ opens, closes }: Span): boolean {
  return closes !== "" && closes !== "00:00" && closes <= opens;
}

/** What is wrong with each day, and with the week. The server looks at it again. */
export function faultsOf(week: Week): { days: Partial<Record<Day, Fault>>; week?: Fault } {
  const days: Partial<Record<Day, Fault>> = {};
  for (const day of DAYS) {
    const spans = week[day];
    if (spans.some(({ opens, closes }) => !opens || !closes)) days[day] = "empty";
    else if (spans.some(({ opens, closes }) => opens === closes && opens !== "00:00")) days[day] = "same";
    else if (!isInOrder(spans)) days[day] = "order";
  }
  return DAYS.every((day) => week[day].length === 0) ? { days, week: "allClosed" } : { days };
}

function isInOrder(spans: readonly Span[]): boolean {
  return spans.every((span, at) => {
    const next = spans[at + 1];
    return next === undefined || (span.closes !== "00:00" && !isOvernight(span) && span.closes <= next.opens);
  });
}

/** A further span, after the last one of the day. */
export function nextSpan(spans: readonly Span[]): Span {
  const last = spans.at(-1);
  if (!last) return OFFICE;
  const hour = Math.min(22, Number(last.closes.slice(0, 2) || 0) + 1);
  return { opens: `${String(hour).padStart(2, "0")}:00`, closes: `${String(Math.min(23, hour + 3)).padStart(2, "0")}:00` };
}
