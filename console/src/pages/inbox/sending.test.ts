import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { type ThreadKey, mark, post, setDraft } from "./drafts";
import { deliver } from "./sending";

const THREAD: ThreadKey = "org/sent";
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
