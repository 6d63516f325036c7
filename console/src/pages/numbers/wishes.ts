/** What a number to buy should be, as the page's URL has it. */
export const CAPABILITIES = ["voice", "sms", "mms"] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface Wishes {
  country?: string;
  area?: string;
  contains?: string;
  locality?: string;
  region?: string;
  can?: Capability[];
}

/** Wishes of a URL; what the API would refuse is left out. */
export function wishesOf(search: Record<string, unknown>): Wishes {
  const text = (name: string, pattern: RegExp): string | undefined => {
    const value = String(search[name] ?? "").trim();
    return pattern.test(value) ? value : undefined;
  };
  const listed = Array.isArray(search["can"]) ? search["can"] : [];
  const can = CAPABILITIES.filter((each) => listed.includes(each));
  const found: { [K in keyof Wishes]: Wishes[K] | undefined } = {
    country: text("country", /^[A-Z]{2}$/),
    area: text("area", /^\d{3}$/),
    contains: text("contains", /^[\d*]{2,15}$/),
    locality: text("locality", /^.{1,100}$/),
    region: text("region", /^.{1,100}$/),
    can: can.length ? can : undefined,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Wishes;
}
