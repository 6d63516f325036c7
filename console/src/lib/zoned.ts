/** Clocks on walls: between `2026-11-26T14:30` in a zone, as `<input type="datetime-local">` has it, and instants. */
import { currentLanguage } from "@/i18n";

/** What the clocks of a zone show at an instant. */
export function wallClock(at: Date, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(at);
  const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
  return `${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}`;
}

/** The instant at which the clocks of a zone show this; where they jump over it, the one as far behind the jump; null if it's no time. */
export function instantOf(wall: string, zone: string): Date | null {
  const wanted = Date.parse(`${wall.slice(0, 16)}:00Z`);
  if (Number.isNaN(wanted) || !/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(wall)) return null;
  const offset = (at: number): number => Date.parse(`${wallClock(new Date(at), zone)}:00Z`) - at;
  const first = wanted - offset(wanted);
  const second = wanted - offset(first);
  if (wallClock(new Date(second), zone) === wall.slice(0, 16)) return new Date(second);
  return new Date(Math.max(first, second));
}

/** Another day's wall clock: `dayShift("2026-11-26T14:30", 1, "09:00")`. */
export function dayShift(wall: string, days: number, time: string): string {
  const day = new Date(Date.parse(`${wall.slice(0, 10)}T00:00Z`) + days * 86_400_000);
  return `${day.toISOString().slice(0, 10)}T${time}`;
}

/** 0 for Sunday. */
export function weekdayOf(wall: string): number {
  return new Date(`${wall.slice(0, 10)}T00:00Z`).getUTCDay();
}

/** Times that people put things off to: in some hours, tomorrow morning, Monday morning; none that is past or twice. */
export function laterChoices(now: Date, zone: string): { key: "hours" | "evening" | "tomorrow" | "monday"; at: Date }[] {
  const wall = wallClock(now, zone);
  const toMonday = (8 - weekdayOf(wall)) % 7 || 7;
  const on = (days: number, time: string): Date => instantOf(dayShift(wall, days, time), zone) ?? now;
  const hours = new Date(Math.ceil((now.getTime() + 2 * 3_600_000) / 900_000) * 900_000);
  const list = [
    { key: "hours" as const, at: hours },
    { key: "evening" as const, at: on(0, "18:00") },
    { key: "tomorrow" as const, at: on(1, "09:00") },
    ...(toMonday > 1 ? [{ key: "monday" as const, at: on(toMonday, "09:00") }] : []),
  ];
  return list.filter((each) => each.key !== "evening" || each.at > hours);
}

/** With day, hour and zone, for what is decided by it: "Fri, Nov 27, 9:00 AM EST". */
export function exactTime(at: string | Date, zone: string): string {
  return new Intl.DateTimeFormat(currentLanguage(), { timeZone: zone, weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" }).format(new Date(at));
}
