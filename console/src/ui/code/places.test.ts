import { describe, expect, it } from "vitest";
import { stepsOf } from "../schema-form/path";
import { placeOf } from "./places";

const TEXT = `{
  "name": "Desk",
  "business_hours_json": {"weekly": {"mon": [["09:00", "17:00"], ["18:00", "9:00"]]}},
  "idle_prompts_json": {"8": "Hello?"}
}`;

function at(path: string): string {
  const { from, to } = placeOf(TEXT, stepsOf(path));
  return TEXT.slice(from, to);
}

describe("the place of a refusal", () => {
  it.each([
    ["name", '"Desk"'],
    ["business_hours_json.weekly.mon[1][1]", '"9:00"'],
    ['idle_prompts_json["8"]', '"Hello?"'],
    ["business_hours_json.holidays[0]", "{"],
    ["greeting", "{"],
  ])("%s", (path, shown) => expect(at(path)).toBe(shown));
  it("is where a text stops being JSON", () => {
    const text = '{"name": "Desk",\n "voice": marin}';
    const { from } = placeOf(text, []);
    expect(text.slice(from, from + 5)).toBe("marin");
  });
});
