import { describe, expect, it } from "vitest";
import { rowsOf, schemaOf } from "./rows";

const SCHEMA = {
  type: "object",
  properties: { reason: { type: "string", description: "Why they called" }, booked: { type: "boolean" }, mood: { type: "string", enum: ["good", "bad"] } },
  required: ["reason"],
  additionalProperties: false,
};

describe("the schema of a flat object", () => {
  it("is rows, there and back", () => {
    const rows = rowsOf(SCHEMA);
    expect(rows?.map((row) => [row.name, row.type, row.isNeeded])).toEqual([["reason", "string", true], ["booked", "boolean", false], ["mood", "enum", false]]);
    expect(schemaOf(rows ?? [], SCHEMA)).toEqual(SCHEMA);
  });
  it.each([
    [{ ...SCHEMA, oneOf: [] }],
    [{ type: "object", properties: { who: { type: "object", properties: {} } } }],
    [{ type: "object", properties: { n: { type: "integer", minimum: 3 } } }],
    [{ type: "object", properties: { n: { enum: [1, 2] } } }],
  ])("stays JSON where rows would lose something: %j", (schema) => expect(rowsOf(schema)).toBeNull());
  it("is none without rows", () => expect([rowsOf(null), schemaOf([], SCHEMA)]).toEqual([[], null]));
});
