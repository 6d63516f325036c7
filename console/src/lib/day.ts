/** The borders of a day in a zone, for filters: days are the organization's, whatever the browser's clock. */
import { dayOf } from "./format";

/** The instant at which a day begins in a zone, as the API takes it; also on days that begin or end a summer time. */
export function startOfDay(day: string, zone: string): string {
  const utc = new Date(`${day}T00:00:00Z`).getTime();
  // Midnight lies within 14 hours of midnight in UTC; the first instant of the day is found by halves.
  let [before, at] = [utc - 15 * HOUR_MS, utc + 15 * HOUR_MS];
  while (at - before > 1) {
    const middle = Math.floor((before + at) / 2);
    if (dayOf(new Date(middle), zone) < day) before = middle;
    else at = middle;
  }
  return new Date(at).toISOString();
}

/** The day after, as `2026-11-27`. */
export function nextDay(day: string): string {
  return new Date(new Date(`${day}T12:00:00Z`).getTime() + 24 * HOUR_MS).toISOString().slice(0, 10);
}

/** An instant from a day and a time of its clock, `14:30`, in a zone; of an hour that comes twice, the first. */
export function instantOf(day: string, time: string, zone: string): string | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || !/^\d{2}:\d{2}$/.test(time)) return undefined;
  const wanted = `${day}T${time}`;
  const guess = new Date(`${wanted}:00Z`).getTime();
  for (let quarter = -56; quarter <= 56; quarter += 1) {
    const at = new Date(guess + quarter * 15 * 60_000);
    if (clockOf(at, zone) === wanted) return at.toISOString();
  }
  return undefined; // left out by the change to summer time
}

/** `2026-11-26T14:30` on the clock of a zone. */
export function clockOf(at: Date, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-CA", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone }).formatToParts(at);
  const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
  return `${dayOf(at, zone)}T${of("hour")}:${of("minute")}`;
}

const HOUR_MS = 3_600_000;
