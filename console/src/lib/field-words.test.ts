import { describe, expect, it } from "vitest";
import { ApiError } from "@/api/client";
import { setLanguage } from "@/i18n/language";
import { fieldName, fieldSentences } from "./field-words";

const refusal = (...fields: string[]): ApiError => new ApiError(400, "invalid_request", "No.", fields.map((field) => ({ field, reason: `bad ${field}` })), "req");

describe("a field away from its form", () => {
  it.each([
    ["name", "name"],
    ["recipients[3].phone_e164", "phone number"],
    ["business_hours_json.weekly.mon[0]", "hours"],
    ['headers_json["X-Name"]', "headers"],
    ["constructor", "constructor"],
    ["weekly.mon", "weekly.mon"],
    ["", ""],
  ])("%j is %j", (path, words) => expect(fieldName(path, { name: "name", phone_e164: "phone number", business_hours_json: "hours", headers_json: "headers" })).toBe(words));
  it("begins its sentence, in the reader's language", () => {
    expect(fieldSentences(refusal("email", "", "odd_json"))).toEqual(["e-mail bad email", "odd_json bad odd_json"]);
    setLanguage("es");
    expect(fieldSentences(refusal("email"))).toEqual(["correo electrónico: bad email"]);
    setLanguage("en");
  });
});
