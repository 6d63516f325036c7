/** Who gets a campaign: a sheet, pasted numbers, or contacts by tag; sent in pages that may be sent again. */
import type { Schemas } from "@/api/client";
import { type Sheet, pastedNumbers, variableName } from "@/lib/sheet";

export type Recipient = Schemas["NewRecipientInput"];
export const PAGE = 2000;
const MOST_VARIABLES = 50;
const MOST_CELL = 1600;

export type Audience = { kind: "sheet"; sheet: Sheet; phoneAt: number; name: string } | { kind: "pasted"; text: string } | { kind: "tag"; tag: string };

/** The variables that a sheet's columns bring, but for the numbers. */
export function variablesOf(audience: Audience): string[] {
  if (audience.kind !== "sheet") return [];
  return [...new Set(audience.sheet.header.flatMap((column, at) => (at === audience.phoneAt ? [] : [variableName(column)])).filter(Boolean))].slice(0, MOST_VARIABLES);
}

/** How many recipients one campaign may have. */
export const MOST_RECIPIENTS = 200_000;

/** How many recipients it has, without making them. */
export function countOf(audience: Audience): number {
  if (audience.kind !== "sheet") return recipientsOf(audience).length;
  return audience.sheet.rows.reduce((sum, row) => sum + ((row[audience.phoneAt] ?? "").trim().replace(/^'/, "") ? 1 : 0), 0);
}

/** The first recipient of an audience, to show what they get. */
export function firstOf(audience: Audience): Recipient | undefined {
  if (audience.kind !== "sheet") return recipientsOf(audience)[0];
  const row = audience.sheet.rows.find((each) => (each[audience.phoneAt] ?? "").trim());
  return row && recipientsOf({ ...audience, sheet: { ...audience.sheet, rows: [row] } })[0];
}

/** An audience in parts that are sent one after the other; a part of a sheet is made when it is its turn. */
export function partsOf(audience: Audience): (() => Recipient[])[] {
  if (audience.kind !== "sheet") return pagesOf(recipientsOf(audience)).map((page) => () => page);
  return pagesOf(audience.sheet.rows).map((rows) => () => recipientsOf({ ...audience, sheet: { ...audience.sheet, rows } }));
}

export function recipientsOf(audience: Audience): Recipient[] {
  if (audience.kind === "tag") return [];
  if (audience.kind === "pasted") return pastedNumbers(audience.text).map((contact_e164) => ({ contact_e164: contact_e164.slice(0, 60) }));
  const { sheet, phoneAt } = audience;
  const names = sheet.header.map(variableName);
  return sheet.rows.flatMap((row) => {
    const number = (row[phoneAt] ?? "").trim().replace(/^'/, "").slice(0, 60);
    if (!number) return [];
    const cells = names.flatMap((name, at): [string, string][] => {
      const cell = (row[at] ?? "").trim().slice(0, MOST_CELL);
      return at !== phoneAt && name && cell ? [[name, cell]] : [];
    });
    return [{ contact_e164: number, variables: Object.fromEntries(cells.slice(0, MOST_VARIABLES)) }];
  });
}

export function pagesOf<R>(list: readonly R[], size = PAGE): R[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size));
}

/** Variables of a text, `{{name}}` and `{{contact.name|there}}`; of one kind alone if `hasWord` says so. */
export function usedVariables(body: string, hasWord?: boolean): string[] {
  const found = [...body.matchAll(/\{\{\s*([\w.]+)\s*(\|[^}]*)?\}\}/g)].filter((match) => hasWord === undefined || hasWord === (match[2] !== undefined));
  return [...new Set(found.map((match) => match[1] as string))];
}

/** The recipients' own variables of a text that no column brings: `unsent` stop it, for `worded` everybody reads the other word. */
export function unfilled(body: string, columns: readonly string[]): { unsent: string[]; worded: string[] } {
  const missing = (hasWord: boolean): string[] => usedVariables(body, hasWord).filter((each) => !each.includes(".") && !columns.includes(each));
  return { unsent: missing(false), worded: missing(true) };
}

/** The text for one recipient, roughly as it will be sent: what isn't known here stays as it is written. */
export function previewOf(body: string, variables: Readonly<Record<string, string>>): string {
  return body.replaceAll(/\{\{\s*([\w.]+)\s*(?:\|([^}]*))?\}\}/g, (whole, name: string, other: string | undefined) => variables[name] ?? other ?? whole);
}
