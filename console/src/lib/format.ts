/** One way to show times, lengths, numbers and money; times are always in the organization's zone. */
import { currentLanguage } from "@/i18n";

const cache = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter takes a millisecond, and a list needs hundreds. */
function formatter(zone: string, options: Intl.DateTimeFormatOptions, language: string = currentLanguage()): Intl.DateTimeFormat {
  const key = `${language}|${zone}|${JSON.stringify(options)}`;
  let found = cache.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(language, { ...options, timeZone: zone });
    cache.set(key, found);
  }
  return found;
}

const DAY: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit" };

/** The day of an instant in a zone, as `2026-11-26`; also what `<input type=date>` takes. */
export function dayOf(at: Date, zone: string): string {
  const parts = formatter(zone, DAY, "en-CA").formatToParts(at);
  const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
  return `${of("year")}-${of("month")}-${of("day")}`;
}

/** As short as it can be told apart: `14:05` today, `Nov 3, 14:05` this year, else with the year; seconds when exact. */
export function shortTime(at: string | Date, zone: string, now = new Date(), isExact = false): string {
  const when = new Date(at);
  const time: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit", ...(isExact ? { second: "2-digit" } : {}) };
  if (dayOf(when, zone) === dayOf(now, zone)) return formatter(zone, time).format(when);
  const date: Intl.DateTimeFormatOptions = { month: "short", day: "numeric" };
  if (dayOf(when, zone).slice(0, 4) === dayOf(now, zone).slice(0, 4)) return formatter(zone, { ...date, ...time }).format(when);
  return formatter(zone, { ...date, year: "numeric" }).format(when);
}

/** With weekday, seconds and the zone's name. */
export function fullTime(at: string | Date, zone: string): string {
  return formatter(zone, { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(new Date(at));
}

/** `Thursday, November 26`. */
export function longDay(at: string | Date, zone: string): string {
  return formatter(zone, { weekday: "long", month: "long", day: "numeric" }).format(new Date(at));
}

/** `Thu` of a day as `2026-11-26`, which is the same day everywhere. */
export function weekday(day: string, width: "short" | "long"): string {
  return formatter("UTC", { weekday: width }).format(new Date(`${day}T12:00:00Z`));
}

/** `Nov 26` of such a day; with its year where that isn't plain. */
export function dayName(day: string, isWithYear = false): string {
  return formatter("UTC", { month: "short", day: "numeric", ...(isWithYear ? { year: "numeric" } : {}) }).format(new Date(`${day}T12:00:00Z`));
}

/** `2:12 AM`: what the clocks of a zone show. */
export function clockIn(at: Date, zone: string): string {
  return formatter(zone, { hour: "numeric", minute: "2-digit" }).format(at);
}

/** `8:00 AM`, or `8 AM` when short: a minute of any day, as people here write it. */
export function dayTime(minutes: number, isShort = false): string {
  return formatter("UTC", { hour: "numeric", ...(isShort ? {} : { minute: "2-digit" }) }).format(new Date(minutes * 60_000));
}

/** What the zone is called at this moment: `EST`, `GMT+1`. */
export function zoneName(zone: string, at = new Date()): string {
  return formatter(zone, { timeZoneName: "short" }).formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/** `4:07`, `1:02:33`. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** `3 hours ago`, `in 2 days`. */
export function relativeTime(at: string | Date, now = Date.now()): string {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const units: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3600], ["minute", 60]];
  const names = new Intl.RelativeTimeFormat(currentLanguage(), { numeric: "auto" });
  for (const [unit, length] of units) if (Math.abs(seconds) >= length) return names.format(Math.trunc(seconds / length), unit);
  return names.format(Math.trunc(seconds), "second");
}

/** `12,345`, `1.2K` when `compact`. */
export function count(value: number, compact = false): string {
  return new Intl.NumberFormat(currentLanguage(), compact ? { notation: "compact", maximumFractionDigits: 1 } : {}).format(value);
}

/** `12.5 %` of a share from 0 to 1. */
export function percent(share: number, digits = 0): string {
  return new Intl.NumberFormat(currentLanguage(), { style: "percent", maximumFractionDigits: digits }).format(share);
}

/** `$1.24`; of millionths of a unit, as the API's `*_micros` are. */
export function money(micros: number, currency = "USD"): string {
  const value = micros / 1_000_000;
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 4 : 2;
  return new Intl.NumberFormat(currentLanguage(), { style: "currency", currency, minimumFractionDigits: 2, maximumFractionDigits: digits }).format(value);
}

/** Whether it is a number at all: who withholds theirs is `anonymous`, a browser `browser`. */
export function isE164(party: string): boolean {
  return /^\+\d{7,15}$/.test(party);
}

/** `+1 317 555 0001`: E.164 in groups, which needs no table of the world's plans. */
export function phone(e164: string): string {
  if (/^\+1\d{10}$/.test(e164)) return `+1 ${e164.slice(2, 5)} ${e164.slice(5, 8)} ${e164.slice(8)}`;
  const digits = e164.slice(1);
  if (!/^\d{7,15}$/.test(digits)) return e164;
  const groups: string[] = [];
  for (let end = digits.length; end > 2; end -= 3) groups.unshift(digits.slice(Math.max(2, end - 3), end));
  return `+${digits.slice(0, 2)} ${groups.join(" ")}`;
}

/** `1.2 MB`. */
export function bytes(value: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let at = 0;
  let size = value;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  return new Intl.NumberFormat(currentLanguage(), { style: "unit", unit: units[at] as string, unitDisplay: "short", maximumFractionDigits: at ? 1 : 0 }).format(size);
}
