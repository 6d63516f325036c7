import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { connect } from "./connection";
import type { Message } from "./stream";

class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  readyState = 1;
  constructor(readonly url: string) {
    super();
    FakeSource.made.push(this);
  }
  close(): void {
    this.readyState = FakeSource.CLOSED;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSource.made = [];
  vi.stubGlobal("EventSource", FakeSource);
  vi.stubGlobal("SharedWorker", undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("a tab without shared workers has the stream by itself", () => {
  const told: Message[] = [];
  const connection = connect((message) => told.push(message));
  const [first] = FakeSource.made;
  first?.dispatchEvent(new Event("open"));
  first?.dispatchEvent(new MessageEvent("call.updated", { data: '{"id":"call_1"}' }));
  expect(told).toEqual([{ state: "open" }, { news: { type: "call.updated", id: "call_1" } }]);
  connection.again();
  expect(FakeSource.made).toHaveLength(1);
  first?.close();
  first?.dispatchEvent(new Event("error"));
  vi.advanceTimersByTime(1000);
  expect([told.at(-1), FakeSource.made.length]).toEqual([{ state: "refused" }, 2]);
  window.dispatchEvent(new Event("pagehide"));
  expect([told.at(-1), FakeSource.made[1]?.readyState]).toEqual([{ state: "lost" }, FakeSource.CLOSED]);
  connection.again();
  connection.leave();
  expect(FakeSource.made.map((each) => each.readyState)).toEqual([2, 2, 2]);
});
