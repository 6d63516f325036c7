import { describe, expect, it } from "vitest";
import type { News } from "@/api/live";
import { NOTHING, parsed } from "./choice";
import { Notices, counted, isShownAt } from "./notices";
import { claimDelay, withKey } from "./told";

const ME = "usr_me";
const ROW = {
  type: "conversation.updated",
  id: "conv_1",
  twilio_number_id: "num_1",
  contact_e164: "+13175550123",
  contact: null,
  status: "open",
  assignee_id: null,
  ai_paused: false,
  flow_id: null,
  unread_count: 1,
  last_message_at: "2026-12-01T10:00:00Z",
  last_message_preview: "My tooth hurts",
  last_message_direction: "inbound",
};
const text = (change: object = {}): News => ({ ...ROW, ...change }) as News;
const reading = (isAnswered = false): Notices => new Notices({ id: ME, isAnswered: () => Promise.resolve(isAnswered) });

describe("a text", () => {
  it("is told once: by the number, its words apart", async () => {
    const notices = reading();
    expect(await notices.of(text())).toEqual({ kind: "text", key: "conv_1/2026-12-01T10:00:00Z", who: { number: "+13175550123" }, words: "My tooth hurts", to: "/inbox/conv_1" });
    expect(await notices.of(text({ flow_id: null }))).toBeNull();
    expect(await notices.of(text({ unread_count: 2, last_message_at: "2026-12-01T10:01:00Z" }))).not.toBeNull();
    expect(await notices.of(text({ unread_count: 0 })), "it was read").toBeNull();
    expect(await notices.of(text({ contact: { name: "Rosa" } }))).toMatchObject({ who: { name: "Rosa" } });
  });

  it.each([
    ["an agent answers", {}, true, false],
    ["the agent is silenced", { ai_paused: true }, true, true],
    ["another agent answers in this one", { flow_id: "flow_1" }, false, false],
    ["it is mine", { assignee_id: ME }, false, true],
    ["it is a colleague's", { assignee_id: "usr_other" }, false, false],
    ["it is closed", { status: "closed" }, false, false],
    ["it is read", { unread_count: 0 }, false, false],
  ])("%s", async (_, change, isAnswered, isTold) => {
    expect((await reading(isAnswered).of(text(change))) !== null).toBe(isTold);
  });

  it("that the agent has left to people is told then", async () => {
    const notices = reading(true);
    expect(await notices.of(text())).toBeNull();
    expect(await notices.of(text({ ai_paused: true, last_message_direction: "outbound", last_message_preview: "A colleague will answer." }))).toMatchObject({ words: null });
  });
});

describe("other things", () => {
  it("a voicemail that nobody has heard", async () => {
    const voicemail = { type: "voicemail.created", id: "vm_1", from: "+13175550123", contact_name: null, heard: false, transcript: "It hurts" } as unknown as News;
    expect(await reading().of(voicemail)).toEqual({ kind: "voicemail", key: "vm_1", who: { number: "+13175550123" }, words: null, to: "/voicemails?id=vm_1" });
    expect(await reading().of({ ...voicemail, heard: true })).toBeNull();
    expect(await reading().of({ ...voicemail, type: "voicemail.updated" })).toBeNull();
  });

  it("an approval that waits, with a caller or without", async () => {
    const approval = { type: "approval.updated", id: "apr_1", state: "pending", call_id: null, summary: "Refund 20 USD" } as unknown as News;
    expect(await reading().of(approval)).toMatchObject({ kind: "approval", who: null, words: "Refund 20 USD" });
    expect(await reading().of({ ...approval, call_id: "call_1" })).toMatchObject({ kind: "call", to: "/approvals" });
    expect(await reading().of({ ...approval, state: "approved" })).toBeNull();
  });

  it("a caller whose transfer nobody took, when the call ends", async () => {
    const ended = (tags: string[], minutesAgo: number): News =>
      ({ type: "call.updated", id: "call_1", direction: "inbound", from: "+13175550123", to: "+13175550100", contact: null, tags, ended_at: new Date(Date.now() - minutesAgo * 60_000).toISOString() }) as unknown as News;
    expect(await reading().of(ended(["transfer-not-taken"], 0))).toEqual({ kind: "transfer", key: "call_1", who: { number: "+13175550123" }, words: null, to: "/calls/call_1" });
    expect(await reading().of(ended([], 0))).toBeNull();
    expect(await reading().of(ended(["transfer-not-taken"], 60)), "somebody wrote a note on it").toBeNull();
  });

  it("no other news", async () => {
    for (const type of ["message.created", "call.created", "resync"] as const) expect(await reading().of({ type, id: "x" })).toBeNull();
  });
});

describe("once for all tabs", () => {
  it("who sees it takes it before who can sound, and that one before the others", () => {
    expect(claimDelay(true, false)).toBeLessThan(claimDelay(false, true));
    expect(claimDelay(false, true)).toBeLessThan(claimDelay(false, false));
    expect(isShownAt("/voicemails", { to: "/voicemails?id=vm_1" })).toBe(true);
    expect(isShownAt("/inbox/conv_2", { to: "/inbox/conv_1" })).toBe(false);
  });

  it("a key is taken once, and old ones are forgotten", () => {
    let kept = withKey(null, "a");
    expect(kept).toBe("a");
    expect(withKey(kept, "a")).toBeNull();
    for (let at = 0; at < 300; at += 1) kept = withKey(kept, String(at));
    expect(kept?.split("\n")).toHaveLength(200);
  });
});

it("counts before a title, whatever stood there", () => {
  expect(counted("Inbox · HUM", 3)).toBe("(3) Inbox · HUM");
  expect(counted("(3) Inbox · HUM", 4)).toBe("(4) Inbox · HUM");
  expect(counted("(4) Inbox · HUM", 0)).toBe("Inbox · HUM");
});

it.each([["", NOTHING], ["null", NOTHING], ["[1]", NOTHING], ['{"desktop":"yes","kinds":7}', NOTHING], ['{"sound":true,"kinds":{"text":false}}', { ...NOTHING, sound: true, kinds: { ...NOTHING.kinds, text: false } }]])("reads %s as a choice", (stored, choice) => {
  expect(parsed(stored)).toEqual(choice);
});
