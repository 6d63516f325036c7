/** What a key may do, as it is chosen: by area, nothing, reading, or changing too. */
export const AREAS = ["calls", "flows", "numbers", "contacts", "sms", "campaigns", "bookings", "webhooks", "integrations", "team", "billing", "analytics"] as const;
export type Area = (typeof AREAS)[number];
export type Access = "none" | "read" | "write";
export type Chosen = Partial<Record<Area, Access>>;

/** Writing includes reading, so one scope for each area is enough. */
export function scopesOf(chosen: Chosen, isSiteAdmin: boolean): string[] {
  const areas = AREAS.flatMap((area) => (chosen[area] === "read" || chosen[area] === "write" ? [`${area}:${chosen[area]}`] : []));
  return isSiteAdmin ? [...areas, "site:admin"] : areas;
}

/** The end of a day in a zone, as an instant. */
export function endOfDay(day: string, zone: string): string {
  const next = new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000);
  const guess = next.getTime() - offsetMs(next, zone);
  return new Date(next.getTime() - offsetMs(new Date(guess), zone)).toISOString();
}

function offsetMs(at: Date, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" }).formatToParts(at);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  return Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second")) - Math.floor(at.getTime() / 1000) * 1000;
}
