import { beforeEach, describe, expect, it, vi } from "vitest";
import { ownKey } from "@/api/me";
import { EMPTY, type ThreadKey, draftOf, isStale, mark, post, setDraft, settle, takeBack } from "./drafts";

let thread: ThreadKey;
let other: ThreadKey;
let count = 0;
const AT = new Date("2026-11-26T12:00:00Z");
const kept = (key: ThreadKey): { draft: unknown; outbox: { key: string; state: string }[] } | null => JSON.parse(localStorage.getItem(`hum.thread.${key}`) ?? "null");

beforeEach(() => {
  localStorage.clear();
  count += 1;
  thread = `org/me/thread${count}`;
  other = `org/me/other${count}`;
});

describe("drafts", () => {
  it("are kept at once, each under its own thread", () => {
    setDraft(thread, { body: "to Ana" });
    setDraft(other, { body: "to Ben" });
    expect([kept(thread)?.draft, draftOf(other).body]).toEqual([{ ...EMPTY, body: "to Ana" }, "to Ben"]);
    setDraft(thread, { body: "" });
    expect(kept(thread)).toBeNull();
  });
  it("are shown to nobody else who uses the browser", () => {
    const organization = { id: "org", name: "Clinic", time_zone: "UTC" };
    const [ana, ben] = ["user_ana", "user_ben"].map((id) => ownKey({ organization, user: { id, name: "", email: "" } }, `conv${count}`)) as [ThreadKey, ThreadKey];
    setDraft(ana, { body: "once" });
    post(ana, "k1", AT);
    mark(ana, "k1", "failed", "offline");
    expect([kept(ben), kept(ana)?.outbox[0]?.key]).toEqual([null, "k1"]);
  });
  it("keep the key of what is on its way", () => {
    setDraft(thread, { body: "once" });
    post(thread, "k1", AT);
    expect(draftOf(thread)).toEqual(EMPTY);
    expect(kept(thread)?.outbox).toMatchObject([{ key: "k1", state: "sending", body: "once" }]);
    settle(thread, "k1");
    expect(kept(thread)).toBeNull();
  });
  it("give back only what the server refused", () => {
    setDraft(thread, { body: "first" });
    post(thread, "k1", AT);
    setDraft(thread, { body: "second" });
    mark(thread, "k1", "failed", "offline");
    takeBack(thread, "k1", AT);
    expect(draftOf(thread).body).toBe("second");
    mark(thread, "k1", "refused", "closed");
    takeBack(thread, "k1", AT);
    expect(draftOf(thread).body).toBe("first\nsecond");
    expect(kept(thread)?.outbox).toEqual([]);
  });
});

/** This module once more, as another tab of the browser has it. */
async function anotherTab(): Promise<typeof import("./drafts")> {
  vi.resetModules();
  return import("./drafts");
}

describe("drafts in two tabs", () => {
  it("are one: what the other wrote is kept, and what it sent is gone", async () => {
    const tab = await anotherTab();
    expect([draftOf(thread), tab.draftOf(thread)]).toEqual([EMPTY, EMPTY]);
    setDraft(thread, { body: "to Ana" });
    tab.setDraft(thread, { scheduledAt: AT.toISOString() });
    tab.setDraft(thread, { scheduledAt: null });
    expect(draftOf(thread).body).toBe("to Ana");
    expect(post(thread, "k1", AT)).toMatchObject({ body: "to Ana" });
    expect(tab.draftOf(thread)).toEqual(EMPTY);
    expect(tab.post(thread, "k2", AT)).toBeNull();
    settle(thread, "k1");
    expect(kept(thread)).toBeNull();
  });
  it("are not written over by a tab that hasn't shown them", async () => {
    const tab = await anotherTab();
    expect(tab.draftOf(thread)).toEqual(EMPTY);
    setDraft(thread, { body: "to Ana" });
    tab.setDraft(thread, { body: "x" });
    tab.setDraft(thread, { body: "to Ana\n" });
    expect(draftOf(thread).body).toBe("to Ana\n");
  });
  it("stay where this one has typed on", async () => {
    const tab = await anotherTab();
    setDraft(thread, { body: "to Ana" });
    expect(tab.draftOf(thread).body).toBe("to Ana");
    post(thread, "k1", AT);
    tab.setDraft(thread, { body: "to Ana and Ben" });
    expect([draftOf(thread).body, kept(thread)?.outbox.length]).toEqual(["to Ana and Ben", 1]);
  });
  it("say how it stands with what the other sends", async () => {
    setDraft(thread, { body: "once" });
    const tab = await anotherTab();
    const states = (of: typeof tab | { draftOf: typeof draftOf }): string | undefined => (of.draftOf(thread), kept(thread)?.outbox[0]?.state);
    tab.draftOf(thread);
    post(thread, "k1", AT);
    tab.setDraft(thread, { body: "next" });
    expect(states(tab), "the other is at it").toBe("sending");
    const late = await anotherTab();
    late.setDraft(thread, { body: "next one" });
    expect(states(late), "for all it knows that tab is gone").toBe("failed");
    setDraft(thread, { body: "next two" });
    expect(states({ draftOf }), "which it isn't").toBe("sending");
    window.dispatchEvent(new Event("pagehide"));
    expect(states(tab)).toBe("failed");
  });
});

describe("a text that was never confirmed", () => {
  const later = (hours: number): Date => new Date(AT.getTime() + hours * 3_600_000);
  it("is sent again only while its key is known, and is then a person's to decide", () => {
    setDraft(thread, { body: "on Friday" });
    const text = post(thread, "k1", AT);
    mark(thread, "k1", "failed", "offline");
    expect([22, 23.5, 70].map((hours) => text && isStale(text, later(hours).getTime()))).toEqual([false, true, true]);
    takeBack(thread, "k1", later(22));
    expect(draftOf(thread).body).toBe("");
    takeBack(thread, "k1", later(70));
    expect([draftOf(thread).body, kept(thread)?.outbox]).toEqual(["on Friday", []]);
  });
});
