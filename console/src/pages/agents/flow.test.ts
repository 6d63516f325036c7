import { describe, expect, it } from "vitest";
import { BLANK, type Draft, changesOf, isSame, readDraft, rebased, startOf, textOf } from "./flow";

const base: Draft = { ...BLANK, name: "Desk", greeting: "Hello.", voice: "marin" };

describe("changes", () => {
  it("are the fields that differ, and null where one was cleared", () => {
    expect(changesOf(base, { ...base, greeting: null, voice: "cedar" })).toEqual({ greeting: null, voice: "cedar" });
  });
  it("don't see the order of members", () => {
    expect(isSame({ a: 1, b: [{ c: 1, d: 2 }] }, { b: [{ d: 2, c: 1 }], a: 1 })).toBe(true);
    expect(isSame([1, 2], [2, 1])).toBe(false);
  });
});

describe("what two people changed", () => {
  it("comes together where they touched different fields", () => {
    const found = rebased(base, { ...base, greeting: "Hi." }, { ...base, voice: "cedar" });
    expect(found.draft).toMatchObject({ greeting: "Hi.", voice: "cedar" });
    expect([found.conflicts, found.theirs]).toEqual([[], ["voice"]]);
  });
  it("is a conflict where they touched the same one differently, and none where they agree", () => {
    const mine = { ...base, greeting: "Hi.", voice: "cedar" };
    const found = rebased(base, mine, { ...base, greeting: "Good day.", voice: "cedar" });
    expect(found.conflicts).toEqual(["greeting"]);
    expect(found.draft.greeting).toBe("Hi.");
  });
});

describe("JSON", () => {
  it("is the form's, there and back", () => expect(readDraft(textOf(base))).toEqual({ draft: base }));
  it("keeps a day's hours in one line", () => {
    const hours = { weekly: { mon: [["09:00", "17:00"]] } } as unknown as Draft["business_hours_json"];
    const text = textOf({ ...base, business_hours_json: hours });
    expect(text).toContain('"mon": [["09:00", "17:00"]]');
    expect(JSON.parse(text)).toEqual({ ...base, business_hours_json: hours });
  });
  it("says what it can't take", () => {
    expect(readDraft("[]")).toEqual({ fault: "object" });
    expect(readDraft('{"nmae": 1}')).toEqual({ fault: "unknown", name: "nmae" });
    expect(readDraft('{"name": "Desk", "filler_phrases": "um"}')).toEqual({ fault: "kind", name: "filler_phrases" });
    expect(readDraft('{"name": "Desk", "voicemail_enabled": null}')).toEqual({ draft: { ...BLANK, name: "Desk" } });
    expect(readDraft("{")).toMatchObject({ fault: "syntax" });
  });
  it("knows what starts a flow", () => {
    expect([startOf(base), startOf({ ...base, channel: "sms" }), startOf({ ...base, channel: "sms", trigger_type: "event" })]).toEqual(["call", "message", "event"]);
  });
});
