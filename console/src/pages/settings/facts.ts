/** Facts about the business: those with a field of their own, and others as rows. Values that aren't texts were written by software: they are kept as they are. */
export const NAMED = ["description", "address", "phone", "email", "website", "languages"] as const;
export type Named = (typeof NAMED)[number];

export interface Fact {
  name: string;
  value: string;
}

export interface Facts {
  named: Partial<Record<Named, string>>;
  rows: readonly Fact[];
}

function isNamed(name: string): name is Named {
  return (NAMED as readonly string[]).includes(name);
}

export function factsOf(identity: Record<string, unknown> | null): Facts & { kept: Record<string, unknown> } {
  const entries = Object.entries(identity ?? {});
  const texts = entries.flatMap(([name, value]) => (typeof value === "string" ? [{ name, value }] : []));
  return {
    named: Object.fromEntries(texts.filter(({ name }) => isNamed(name)).map(({ name, value }) => [name, value])),
    rows: texts.filter(({ name }) => !isNamed(name)),
    kept: Object.fromEntries(entries.filter(([, value]) => typeof value !== "string")),
  };
}

/** The whole again; null when there are none. */
export function identityOf({ named, rows }: Facts, kept: Record<string, unknown>): Record<string, unknown> | null {
  const fields = NAMED.flatMap((name) => (named[name]?.trim() ? [[name, named[name].trim()]] : []));
  const whole = { ...Object.fromEntries(fields), ...kept, ...Object.fromEntries(rows.map(({ name, value }) => [name.trim(), value])) };
  return Object.keys(whole).length ? whole : null;
}

/** What is wrong with a row. */
export function faultOf(rows: readonly Fact[], at: number, kept: Record<string, unknown>): "nameless" | "twice" | "valueless" | null {
  const name = rows[at]?.name.trim() ?? "";
  if (!name) return "nameless";
  if (isNamed(name) || name in kept || rows.some((each, other) => other < at && each.name.trim() === name)) return "twice";
  return rows[at]?.value.trim() ? null : "valueless";
}

/** Whether a text may be an e-mail address; what an address is in full, the server knows. */
export function isEmailLike(text: string): boolean {
  return /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(text.trim());
}
