import { describe, expect, it } from "vitest";
import { BLANK, SEALED, bodyOf, changesOf, lostHeaders, turned, withPreset } from "./values";

const SMS = ["sms.received", "sms.sent"];

describe("the types that a webhook gets", () => {
  it("takes one", () => expect(turned(["call.started"], "sms.sent", SMS)).toEqual(["call.started", "sms.sent"]));
  it("is a kind once all of it are chosen", () => expect(turned(["sms.sent", "call.*"], "sms.received", SMS)).toEqual(["call.*", "sms.*"]));
  it("takes a whole kind, instead of its types", () => expect(turned(["sms.sent"], "sms.*", SMS)).toEqual(["sms.*"]));
  it("names the others when one of a kind goes", () => expect(turned(["sms.*"], "sms.sent", SMS)).toEqual(["sms.received"]));
  it("drops a kind", () => expect(turned(["sms.*", "call.*"], "sms.*", SMS)).toEqual(["call.*"]));
  it("drops a type", () => expect(turned(["sms.sent"], "sms.sent", SMS)).toEqual([]));
  it("keeps a lone type as itself", () => expect(turned([], "limit.warning", ["limit.warning"])).toEqual(["limit.warning"]));
});

describe("what of a webhook's form is sent", () => {
  const kept = { ...BLANK, url: "https://a.example/x", headers: [{ name: "X-Key", value: SEALED }] };
  it("is nothing when nothing changed", () => expect(changesOf(kept, { ...kept, url: " https://a.example/x " })).toEqual({}));
  it("is what changed", () => expect(changesOf(kept, { ...kept, events: ["sms.*"], description: "CRM" })).toEqual({ events: ["sms.*"], description: "CRM" }));
  it("has no header without a name", () => expect(bodyOf({ ...kept, headers: [{ name: " ", value: "x" }] }).headers_json).toEqual({}));
  it("tells which sealed values another server will not get", () => {
    expect(lostHeaders(kept, { ...kept, url: "https://a.example/y" })).toEqual([]);
    expect(lostHeaders(kept, { ...kept, url: "https://b.example/x" })).toEqual(["X-Key"]);
  });
  it("is filled in by a preset, but for the address", () =>
    expect(withPreset(kept, { name: "slack", title: "Slack", url_prefixes: [], events: ["sms.received"], format: "slack", ordered: false, instructions: "" })).toMatchObject({ url: kept.url, preset: "slack", format: "slack", events: ["sms.received"] }));
});
