import { describe, expect, it } from "vitest";
import { withAllowed, withAutoApproval } from "./rights";

describe("rights of agents", () => {
  it("names the others once one is forbidden", () => expect(withAllowed({ allowed: null, autoApproved: ["a", "b"] }, ["a", "b", "c"], "a", false)).toEqual({ allowed: ["b", "c"], autoApproved: ["b"] }));
  it("allows one more", () => expect(withAllowed({ allowed: ["a"], autoApproved: [] }, ["a", "b", "c"], "c", true).allowed).toEqual(["a", "c"]));
  it("never names one twice", () => expect(withAutoApproval({ allowed: null, autoApproved: ["a"] }, "a", true).autoApproved).toEqual(["a"]));
  it("asks a person again", () => expect(withAutoApproval({ allowed: null, autoApproved: ["a", "b"] }, "a", false).autoApproved).toEqual(["b"]));
});
