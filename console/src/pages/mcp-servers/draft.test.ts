import { describe, expect, it } from "vitest";
import { BLANK, type Draft, changesOf, fieldsOf } from "./draft";

const stored: Draft = { ...BLANK, name: "Shop", url: "https://shop.example.com/mcp", auth: "bearer", bearer_token: "********", headers: [["X-Team", "********"]] };

describe("a server's draft", () => {
  it("leaves stored secrets alone", () => expect(changesOf(stored, { ...stored, name: "Store" })).toEqual({ name: "Store" }));
  it("keeps other headers' values when one is added", () => expect(changesOf(stored, { ...stored, headers: [...stored.headers, ["X-New", "1"]] })).toEqual({ headers_json: { "X-Team": "********", "X-New": "1" } }));
  it("drops a token with its way to sign in", () => expect(changesOf(stored, { ...stored, auth: "none" })).toEqual({ bearer_token: null }));
  it("sends OAuth's fields only when it is chosen", () => {
    const oauth: Draft = { ...BLANK, auth: "oauth", oauth_token_url: "https://id.example.com/token", oauth_client_id: "hum", oauth_client_secret: "s", bearer_token: "left over" };
    expect(fieldsOf(oauth)).toMatchObject({ bearer_token: null, oauth_client_id: "hum", oauth_scope: null });
  });
});
