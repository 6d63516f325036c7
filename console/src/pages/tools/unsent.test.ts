import { describe, expect, it } from "vitest";
import { BLANK } from "./draft";
import { sending, unsentOf } from "./unsent";

const BOOKING = { ...BLANK, method: "POST", parameters: JSON.stringify({ type: "object", properties: { when: { type: "string" }, party_size: { type: "integer" } } }) };

describe("arguments that go nowhere", () => {
  it("are those that no template names", () => {
    expect(unsentOf(BOOKING)).toEqual(["when", "party_size"]);
    expect(unsentOf({ ...BOOKING, url: "https://example.com/{{ args.when }}" })).toEqual(["party_size"]);
    expect(unsentOf({ ...BOOKING, query: [["at", "{{ args['when'] }}"]] })).toEqual(["party_size"]);
    expect(unsentOf({ ...BOOKING, body: '{"whenever": "{{ args.whenever }}"}' })).toEqual(["when", "party_size"]);
    expect(unsentOf({ ...BOOKING, body: '"{{ args | tojson }}"' })).toEqual([]);
    expect(unsentOf({ ...BOOKING, parameters: "{" })).toEqual([]);
  });

  it.each<[typeof BOOKING, Partial<typeof BOOKING>]>([
    [{ ...BOOKING, body: '{"source": "phone"}' }, { body: JSON.stringify({ source: "phone", when: "{{ args.when }}" }, null, 2) }],
    [{ ...BOOKING, method: "GET" }, { query: [["when", "{{ args.when }}"]] }],
    [{ ...BOOKING, body: "[1]" }, { query: [["when", "{{ args.when }}"]] }],
  ])("are sent where the request has a place", (draft, change) => {
    expect(sending(draft, ["when"])).toEqual(change);
    expect(unsentOf({ ...draft, ...change })).toEqual(["party_size"]);
  });
});
