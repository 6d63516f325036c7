import { describe, expect, it } from "vitest";
import { filterOf, placesOf, typesOf, wordsOf } from "./filter";

describe("events", () => {
  it("are filtered by kind", () => expect(typesOf("voicemail")).toEqual(["voicemail.received", "voicemail.transcribed"]));
  it("are filtered by type", () => expect(typesOf("external.order_paid")).toEqual(["external.order_paid"]));
  it("are all without a filter", () => expect(typesOf(undefined)).toEqual([]));
  it("are of a trigger's type by the choice of all triggers", () => expect([filterOf("external.order_paid"), filterOf("sms.sent")]).toEqual(["external.*", "sms.sent"]));
  it("lead to what they name", () => expect(placesOf({ call_id: "call_1", flow_id: null, conversation_id: "conv_2" }).map((each) => each.place)).toEqual(["call", "conversation"]));
  it("lead nowhere without data", () => expect(placesOf("text")).toEqual([]));
  it("are, of a trigger, what was posted", () => expect(wordsOf({ trigger_id: "trig_1", payload: { total: 42, lines: [] }, body_bytes: 9 })).toBe("total: 42"));
  it("are one line of words", () => expect(wordsOf({ call_id: "call_1", from: "+13175550100", started_at: "2026-11-26T10:00:00Z", duration_seconds: 12, number_id: null, outcome: {} })).toBe("from: +13175550100, duration_seconds: 12"));
});
