/** Values of an agent in words, line by line: a week, whom calls go to, and what is missing. */
import type { Schemas } from "@/api/client";
import { dayName, dayTime, phone, weekday } from "@/lib/format";
import { currentLanguage } from "@/i18n/language";
import { isObject } from "@/ui/schema-form/schema";
import type { Words } from "@/ui/schema-form/words";
import { DAYS, type Span, isDay, weekOf } from "../hours/hours";

export interface Line {
  label: string;
  text: string;
}

export interface HoursTexts {
  days: Record<string, string>;
  closed: string;
  allDay: string;
  holidays: string;
  zone: string;
  /** Two days that follow one another, or the first and the last of several. */
  pair: (first: string, last: string) => string;
  range: (first: string, last: string) => string;
}

/** Business hours, like days that follow one another together; then the days on which it is closed. */
export function hoursInWords(value: unknown, t: HoursTexts): Line[] {
  if (!isObject(value)) return [];
  const week = weekOf(value);
  const groups: { days: string[]; text: string }[] = [];
  for (const day of DAYS) {
    const text = week[day].map((each) => spanInWords(each, t)).join(", ") || t.closed;
    const last = groups.at(-1);
    if (last?.text === text) last.days.push(t.days[day] ?? day);
    else groups.push({ days: [t.days[day] ?? day], text });
  }
  const holidays = Array.isArray(value["holidays"]) ? value["holidays"].filter(isDay).toSorted() : [];
  return [
    ...groups.map(({ days, text }) => ({ label: daysInWords(days, t), text })),
    ...(holidays.length > 0 ? [{ label: t.holidays, text: holidays.map((day) => `${weekday(day, "short")}, ${dayName(day, true)}`).join("; ") }] : []),
    ...(typeof value["time_zone"] === "string" ? [{ label: t.zone, text: value["time_zone"] }] : []),
  ];
}

function daysInWords(days: readonly string[], t: HoursTexts): string {
  const [first = "", last = ""] = [days[0], days.at(-1)];
  if (days.length === 1) return first;
  return days.length === 2 ? t.pair(first, last) : t.range(first, last);
}

function spanInWords({ from, to }: Span, t: HoursTexts): string {
  return from === 0 && to === 1440 ? t.allDay : `${dayTime(from)}–${dayTime(to)}`;
}

/** Whom the agent hands calls to: a name, and a number or another agent. */
export function transfersInWords(value: unknown, agentTarget: string): Line[] {
  if (!isObject(value)) return [];
  return Object.entries(value).map(([label, target]) => {
    const to = isObject(target) ? target["to"] : target;
    return { label, text: typeof to !== "string" ? "" : to.startsWith("+") ? phone(to) : agentTarget };
  });
}

/** An object's members, by the names that the form has for them. */
export function membersInWords(value: unknown, words: Record<string, Words>, flags: Record<string, string>): Line[] {
  if (!isObject(value)) return [];
  return Object.entries(value).map(([name, member]) => ({ label: words[name]?.label ?? name, text: memberInWords(member, words, flags) }));
}

function memberInWords(value: unknown, words: Record<string, Words>, flags: Record<string, string>): string {
  if (typeof value === "boolean") return flags[String(value)] ?? String(value);
  if (typeof value === "string") return words[value]?.label ?? value;
  return JSON.stringify(value);
}

/** A language by its name and its tag: "English (United States), en-US". */
export function languageName(tag: string): string {
  try {
    const name = new Intl.DisplayNames([currentLanguage()], { type: "language" }).of(tag);
    return name && name !== tag ? `${name}, ${tag}` : tag;
  } catch {
    return tag; // no tag that a browser knows
  }
}

export function textOfLines(lines: readonly Line[]): string {
  return lines.map(({ label, text }) => `${label}: ${text}`).join("\n");
}

type Omission = Schemas["ProposalOmission"];

/** What the description says and the agent lacks, by kinds in their first order. */
export function omissionsByKind(omissions: readonly Omission[]): { kind: Omission["kind"]; texts: string[] }[] {
  const kinds = [...new Set(omissions.map((each) => each.kind))];
  return kinds.map((kind) => ({ kind, texts: omissions.filter((each) => each.kind === kind).map((each) => each.text) }));
}
