import { describe, expect, it } from "vitest";
import { BLANK, changesOf, draftOf, fieldsOf, parsed, sampleOf, shownOf } from "./draft";

const tool = { id: "tool_1", name: "look_up", description: "Looks up.", parameters_json: { type: "object" }, method: "POST", url: "https://shop.example.com/{{ args.id }}", headers_json: { "X-Key": "{{ secrets.k }}" }, query_json: null, body_json: { a: ["{{ args.n }}"] }, body_type: "json", output_template: null, fallback_template: "No.", timeout_ms: null, retries: null, sends_idempotency_key: null, requires_approval: true, version: 3, created_at: "2026-11-26T00:00:00Z", updated_at: "2026-11-26T00:00:00Z" } as const;

describe("a tool's draft", () => {
  it("is sent as it came", () => {
    const { fields, faults } = fieldsOf(draftOf({ ...tool, parameters_json: { type: "object" } }), "no JSON");
    expect(faults).toEqual([]);
    expect(fields).toMatchObject({ body_json: { a: ["{{ args.n }}"] }, headers_json: { "X-Key": "{{ secrets.k }}" }, query_json: null, fallback_template: "No.", output_template: null, timeout_ms: 8000 });
  });
  it("sends only what has changed", () => {
    const before = fieldsOf(draftOf({ ...tool }), "").fields;
    expect(changesOf(before, fieldsOf({ ...draftOf({ ...tool }), retries: 2, body: "" }, "").fields)).toEqual({ retries: 2, body_json: null });
    expect(changesOf(before, before)).toEqual({});
  });
  it("refuses what is no JSON, where it is", () => expect(fieldsOf({ ...BLANK, body: "{", parameters: "[" }, "no JSON").faults).toEqual([{ field: "parameters_json", reason: "no JSON" }, { field: "body_json", reason: "no JSON" }]));
  it("tells nothing from no JSON", () => expect([parsed(" "), parsed("{"), parsed("false")]).toEqual([null, undefined, false]));
  it("shows a version without what isn't its content", () => expect(shownOf({ ...tool })).not.toMatch(/version|created_at|query_json/));
  it("begins a test with the schema's examples", () => expect(sampleOf({ properties: { id: { examples: ["A-7"] }, n: { default: 2 }, x: {} } })).toEqual({ id: "A-7", n: 2 }));
});
