import { describe, expect, it } from "vitest";
import { factsOf, faultOf, identityOf, isEmailLike } from "./facts";

describe("facts about the business", () => {
  it("keep what isn't text", () => {
    const identity = { address: "1 Main Street", seats: 40, links: ["a"], parking: "Behind the house" };
    const { kept, ...facts } = factsOf(identity);
    expect(facts).toEqual({ named: { address: "1 Main Street" }, rows: [{ name: "parking", value: "Behind the house" }] });
    expect(identityOf(facts, kept)).toEqual(identity);
    expect(identityOf({ named: {}, rows: [] }, {})).toBeNull();
  });
  it("have a name each, and none that has a field", () => {
    const rows = [{ name: "a", value: "x" }, { name: " ", value: "x" }, { name: "a ", value: "" }, { name: "seats", value: "" }, { name: "address", value: "" }, { name: "parking", value: " " }];
    expect(rows.map((_, at) => faultOf(rows, at, { seats: 40 }))).toEqual([null, "nameless", "twice", "twice", "twice", "valueless"]);
  });
  it("have an e-mail address that can be one", () => {
    expect(["front@lakeside.example", " a@b.co ", "front@lakeside", "lakeside.example", "a@b..co", "a b@c.co"].map(isEmailLike)).toEqual([true, true, false, false, false, false]);
  });
  it("leave out what is empty", () => {
    expect(identityOf({ named: { phone: " ", languages: " English " }, rows: [] }, {})).toEqual({ languages: "English" });
  });
  it("keep a list where the field would take a text", () => {
    const { kept, ...facts } = factsOf({ languages: ["English", "Spanish"] });
    expect(facts.named).toEqual({});
    expect(identityOf(facts, kept)).toEqual({ languages: ["English", "Spanish"] });
  });
});
