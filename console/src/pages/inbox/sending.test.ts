import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError, api } from "@/api/client";
import { type ThreadKey, draftOf, mark, post, setDraft, takeBack } from "./drafts";
import { deliver } from "./sending";

const THREAD: ThreadKey = "org/me/sent";
const FRIDAY = new Date("2026-11-27T17:00:00Z");
const sent = vi.spyOn(api, "POST");

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  localStorage.clear();
  sent.mockReset().mockRejectedValue(new TypeError("no connection"));
});
afterEach(() => void vi.useRealTimers());

it("a text is not sent again once the server may have forgotten its key", async () => {
  setDraft(THREAD, { body: "See you." });
  const text = post(THREAD, "k1", FRIDAY);
  if (!text) throw new Error("there was a draft");
  mark(THREAD, "k1", "failed");
  for (const [at, times] of [["2026-11-27T18:00:00Z", 1], ["2026-11-30T09:00:00Z", 1]] as const) {
    vi.setSystemTime(new Date(at));
    await deliver(THREAD, "conv", text);
    expect(sent).toHaveBeenCalledTimes(times);
  }
});

it("a text whose key was used for something else may have been sent, and is not given back", async () => {
  vi.setSystemTime(FRIDAY);
  sent.mockRejectedValue(new ApiError(409, "idempotency_mismatch", "used with a different request", [], "req"));
  setDraft(THREAD, { body: "See you." });
  const text = post(THREAD, "k2", FRIDAY);
  if (!text) throw new Error("there was a draft");
  await deliver(THREAD, "conv", text);
  takeBack(THREAD, "k2", FRIDAY);
  expect(draftOf(THREAD).body).toBe("");
});
