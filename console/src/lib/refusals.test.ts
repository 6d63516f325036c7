import { describe, expect, it } from "vitest";
import { ApiError } from "@/api/client";
import { byField } from "./refusals";

const refusal = (...fields: string[]): ApiError => new ApiError(400, "invalid_request", "No.", fields.map((field) => ({ field, reason: `bad ${field}` })), "req");

describe("a refusal's details", () => {
  it("go to the field that holds the place", () =>
    expect(byField(refusal("business_hours_json.weekly.mon[0]", "name"), ["name", "business_hours_json"])).toEqual({
      at: { name: "bad name", business_hours_json: "bad business_hours_json.weekly.mon[0]" },
      rest: false,
    }));
  it("are for the whole form where no field is theirs", () => {
    expect(byField(refusal("other"), ["name"]).rest).toBe(true);
    expect(byField(refusal(), ["name"]).rest).toBe(true);
    expect(byField(refusal("names"), ["name"])).toEqual({ at: {}, rest: true });
  });
});
