import { describe, expect, it } from "vitest";
import { type Approval, nextCards } from "./cards";

const made = (id: string, state: Approval["state"] = "pending"): Approval => ({ id, state, created_at: `2026-11-26T10:00:0${id}Z` }) as Approval;
const shown = (before: Approval[], pending: Approval[], settled: Approval[] = []): string => nextCards(before, pending, new Map(settled.map((each) => [each.id, each]))).map((each) => `${each.id}${each.state === "pending" ? "" : `:${each.state}`}`).join(" ");

describe("approvals that wait", () => {
  it("begin with the oldest, whose time is up first", () => expect(shown([], [made("3"), made("1"), made("2")])).toBe("1 2 3"));
  it("are followed by new ones", () => expect(shown([made("2")], [made("3"), made("2"), made("1")])).toBe("2 1 3"));
  it("stay in place when they are decided", () => expect(shown([made("1"), made("2")], [made("2")], [made("1", "denied")])).toBe("1:denied 2"));
  it("stay decided when an older answer says they wait", () => expect(shown([made("1")], [made("1")], [made("1", "approved")])).toBe("1:approved"));
  it("are not shown when they were decided before", () => expect(shown([], [made("1")], [made("1", "approved")])).toBe(""));
  it("go when nothing is known of them", () => expect(shown([made("1"), made("2")], [made("2")])).toBe("2"));
  it("stay once they are known to be decided", () => expect(shown([made("1", "expired")], [])).toBe("1:expired"));
});
