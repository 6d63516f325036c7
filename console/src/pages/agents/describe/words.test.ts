import { afterEach, describe, expect, it } from "vitest";
import en from "@/i18n/en/agentForm";
import es from "@/i18n/es/agentForm";
import { setLanguage } from "@/i18n/language";
import { hoursInWords, languageName, membersInWords, omissionsByKind, textOfLines, transfersInWords } from "./words";

const days = { mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday", sat: "Saturday", sun: "Sunday" };
const dias = { mon: "Lunes", tue: "Martes", wed: "Miércoles", thu: "Jueves", fri: "Viernes", sat: "Sábado", sun: "Domingo" };
const LUNCH = [["08:00", "12:00"], ["13:00", "17:00"]];
const WEEKDAYS = { mon: LUNCH, tue: LUNCH, wed: LUNCH, thu: LUNCH, fri: LUNCH };

/** Browsers part a clock and its AM by different spaces. */
const plain = (text: string): string => text.replaceAll(/\s/gu, " ");

describe("a week in words", () => {
  afterEach(() => setLanguage("en"));
  it("has a lunch break, and the days on which it is closed", () => {
    expect(hoursInWords({ weekly: WEEKDAYS, holidays: ["2026-12-25"] }, { ...en.hours.inWords, days }).map(({ label, text }) => ({ label, text: plain(text) }))).toEqual([
      { label: "Monday to Friday", text: "8:00 AM–12:00 PM, 1:00 PM–5:00 PM" },
      { label: "Saturday and Sunday", text: "Closed" },
      { label: "Closed on", text: "Fri, Dec 25, 2026" },
    ]);
  });
  it("is said in Spanish too", () => {
    setLanguage("es");
    expect(textOfLines(hoursInWords({ weekly: WEEKDAYS }, { ...es.hours.inWords, days: dias }))).toBe("Lunes a viernes: 8:00–12:00, 13:00–17:00\nSábado y domingo: Cerrado");
  });
  it("says all day, nights and a zone", () => {
    const value = { weekly: { mon: [["00:00", "24:00"]], tue: [["22:00", "06:00"]] }, time_zone: "Europe/Madrid" };
    expect(plain(textOfLines(hoursInWords(value, { ...en.hours.inWords, days })).replaceAll("\n", ";"))).toBe("Monday: All day;Tuesday: 10:00 PM–6:00 AM;Wednesday to Sunday: Closed;Time zone: Europe/Madrid");
  });
  it.each([null, 7, "x", []])("is nothing for %s", (value) => expect(hoursInWords(value, { ...en.hours.inWords, days })).toEqual([]));
});

describe("transfers in words", () => {
  it("are names and numbers", () => {
    const value = { "Dr. Lee": "+13175550142", Billing: { to: "+13175550188", accept_key: true }, Night: "flow_01HVN5J8Q0ZR4TB8M3C2Y7K6WD", odd: 7 };
    expect(transfersInWords(value, "Another agent")).toEqual([
      { label: "Dr. Lee", text: "+1 317 555 0142" },
      { label: "Billing", text: "+1 317 555 0188" },
      { label: "Night", text: "Another agent" },
      { label: "odd", text: "" },
    ]);
  });
});

describe("members in words", () => {
  it("are called as in the form", () => {
    expect(membersInWords({ interruptible: false, eagerness: "low", cut_after_ms: 350, other: "x" }, en.members, en.recordings)).toEqual([
      { label: "Callers may interrupt", text: "No" },
      { label: "How soon it answers", text: "Low: waits longest" },
      { label: "Speech that interrupts (ms)", text: "350" },
      { label: "other", text: "x" },
    ]);
    expect(membersInWords(7, en.members, en.recordings)).toEqual([]);
  });
});

describe("a language", () => {
  afterEach(() => setLanguage("en"));
  it("has a name in the reader's language beside its tag", () => {
    expect(languageName("es-MX")).toBe("Mexican Spanish, es-MX");
    setLanguage("es");
    expect(languageName("fr")).toBe("francés, fr");
  });
  it.each(["", "not a tag", "zz"])("is shown as it is when %j is none", (tag) => expect(languageName(tag)).toBe(tag));
});

describe("what is missing", () => {
  it("stands together by its kind", () => {
    expect(
      omissionsByKind([
        { kind: "day", text: "December 25" },
        { kind: "hours", text: "1pm to 5pm" },
        { kind: "day", text: "July 4" },
      ]),
    ).toEqual([
      { kind: "day", texts: ["December 25", "July 4"] },
      { kind: "hours", texts: ["1pm to 5pm"] },
    ]);
    expect(omissionsByKind([])).toEqual([]);
  });
});
