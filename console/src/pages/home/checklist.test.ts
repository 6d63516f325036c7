import { describe, expect, it } from "vitest";
import { type Facts, isPast, stepsOf } from "./checklist";

const NEW: Facts = { flows: 0, number: null, calls: 0, isHeard: false };
const next = (facts: Partial<Facts>): string | undefined => stepsOf({ ...NEW, ...facts }).find((each) => each.isNext)?.name;

describe("the way to the first call", () => {
  it("goes step by step", () => {
    expect(next({})).toBe("agent");
    expect(next({ flows: 1 })).toBe("number");
    expect(next({ flows: 1, number: { hasFlow: false } })).toBe("number");
    expect(next({ flows: 1, number: { hasFlow: true } })).toBe("call");
    expect(next({ flows: 1, number: { hasFlow: true }, calls: 1 })).toBe("listen");
    expect(next({ flows: 1, number: { hasFlow: true }, calls: 1, isHeard: true })).toBeUndefined();
  });
  it("leads back to what was skipped", () => expect(next({ flows: 1, calls: 1 })).toBe("number"));
  it("ends when a call is heard, or there are many", () => {
    expect([isPast(NEW), isPast({ ...NEW, isHeard: true }), isPast({ ...NEW, calls: 5 })]).toEqual([false, true, true]);
  });
});
