/** Facts about the business as rows. Values that aren't texts were written by software: they are kept as they are. */
export interface Fact {
  name: string;
  value: string;
}

export function rowsOf(identity: Record<string, unknown> | null): { rows: Fact[]; kept: Record<string, unknown> } {
  const entries = Object.entries(identity ?? {});
  return {
    rows: entries.flatMap(([name, value]) => (typeof value === "string" ? [{ name, value }] : [])),
    kept: Object.fromEntries(entries.filter(([, value]) => typeof value !== "string")),
  };
}

/** The whole again; null when there are none. */
export function identityOf(rows: readonly Fact[], kept: Record<string, unknown>): Record<string, unknown> | null {
  const whole = { ...kept, ...Object.fromEntries(rows.map(({ name, value }) => [name.trim(), value])) };
  return Object.keys(whole).length ? whole : null;
}

/** What is wrong with the name of each row. */
export function faultOf(rows: readonly Fact[], at: number, kept: Record<string, unknown>): "nameless" | "twice" | null {
  const name = rows[at]?.name.trim() ?? "";
  if (!name) return "nameless";
  return name in kept || rows.some((each, other) => other < at && each.name.trim() === name) ? "twice" : null;
}
