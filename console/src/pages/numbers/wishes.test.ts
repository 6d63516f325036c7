import { describe, expect, it } from "vitest";
import { wishesOf } from "./wishes";

describe("wishes of a number", () => {
  it("are what the API takes", () =>
    expect(wishesOf({ country: "US", area: 317, contains: "55*0", locality: " Carmel ", can: ["mms", "voice", "fax"] })).toEqual({
      country: "US",
      area: "317",
      contains: "55*0",
      locality: "Carmel",
      can: ["voice", "mms"],
    }));
  it("leave out what it would refuse", () => expect(wishesOf({ country: "usa", area: "31", contains: "5", can: "voice", region: "", other: 1 })).toEqual({}));
});
