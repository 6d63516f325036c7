import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Gathered, type News, isConcerned, isUntold, touched } from "./live";

const CALL = "call_01M8CB98TVM45FH50VCMXFKHDN";
const OTHER = "call_01M8CBEQ94PXZ81P8KG25TR1NC";

describe("what news touch", () => {
  it.each<[News, string[]]>([
    [{ type: "call.updated", id: CALL }, ["calls", "dashboard"]],
    [{ type: "message.created", id: "msg" }, ["conversations", "inbox"]],
    [{ type: "resource.changed", kind: "flow", id: "f" }, ["flows"]],
    [{ type: "resource.changed", kind: "contact", id: "k" }, ["contacts"]],
    [{ type: "resource.deleted", kind: "call", id: CALL }, ["calls", "dashboard"]],
    [{ type: "resource.changed", kind: "something new", id: "x" }, []],
  ])("%o", (news, nouns) => expect(touched(news).nouns).toEqual(nouns));
});

describe("which queries are asked again", () => {
  const ids = new Set([CALL]);
  it("are the lists of that noun, and the details of that thing alone", () => {
    expect(isConcerned(["calls", "list", {}], "calls", ids)).toBe(true);
    expect(isConcerned(["calls", CALL], "calls", ids)).toBe(true);
    expect(isConcerned(["calls", CALL, "notes"], "calls", ids)).toBe(true);
    expect(isConcerned(["calls", OTHER], "calls", ids)).toBe(false);
    expect(isConcerned(["numbers", OTHER.slice(-26)], "numbers", new Set([CALL.slice(-26)]))).toBe(false);
    expect(isConcerned(["flows", "names"], "calls", ids)).toBe(false);
    expect(isConcerned(["dashboard"], "dashboard", ids)).toBe(true);
  });
  it("are, for who comes back to a tab, those that no news are of; and never what is drawn from a file", () => {
    expect([["team", "members"], ["api-keys"], ["me"]].map(isUntold)).toEqual([true, true, true]);
    expect([["calls", "list", {}], ["contacts", "list", {}], ["peaks", "calls", CALL], ["voices"]].map(isUntold)).toEqual([false, false, false, false]);
  });
});

describe("a list under news without end", () => {
  afterEach(() => vi.useRealTimers());
  it("arrives, however slow it is, and is asked again for what came meanwhile", async () => {
    vi.useFakeTimers();
    const client = new QueryClient();
    const began: number[] = [];
    const slow = { queryKey: ["calls", "list", {}], queryFn: async () => (began.push(Date.now()), await new Promise((resolve) => setTimeout(resolve, 1000)), began.length) };
    const observer = new QueryObserver(client, slow);
    const seen: unknown[] = [];
    const leave = observer.subscribe(({ data }) => seen.push(data));
    const gathered = new Gathered(client);
    for (let at = 0; at < 40; at += 1) {
      gathered.add({ type: "call.created", id: CALL } as News);
      // One after the other: the clock goes on between them.
      // oxlint-disable-next-line no-await-in-loop
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(Math.max(...seen.filter((each): each is number => typeof each === "number"))).toBeGreaterThanOrEqual(3);
    const before = began.length;
    await vi.advanceTimersByTimeAsync(5000);
    expect([before <= 5, began.length - before <= 1, observer.getCurrentResult().isFetching]).toEqual([true, true, false]);
    expect(observer.getCurrentResult().data).toBe(began.length);
    leave();
  });
});
