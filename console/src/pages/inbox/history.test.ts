import { describe, expect, it } from "vitest";
import { type History, type Message, byDays, isBehind, withNewest, withOlder } from "./history";

const message = (id: number, more: Partial<Message> = {}): Message => ({ id: `m${id}`, created_at: `2026-11-26T0${id}:00:00Z`, status: "sent", ...more }) as Message;
const page = (ids: number[], next: string | null): { messages: Message[]; next_cursor: string | null } => ({ messages: ids.map((id) => message(id)), next_cursor: next });
const ids = (history: History): string => history.messages.map((each) => each.id.slice(1)).join("");

describe("a thread's history", () => {
  it("takes new ones before what it has scrolled to", () => {
    const held = withOlder(withNewest(undefined, page([6, 5, 4], "c4")), page([3, 2], "c2"));
    expect([ids(held), held.older]).toEqual(["65432", "c2"]);
    const next = withNewest(held, page([7, 6, 5], "c5"));
    expect([ids(next), next.older]).toEqual(["765432", "c2"]);
  });
  it("begins anew where a gap would be", () => {
    const held = withNewest(undefined, page([3, 2, 1], null));
    const next = withNewest(held, page([9, 8, 7], "c7"));
    expect([ids(next), next.older]).toEqual(["987", "c7"]);
  });
  it("lets go of what was erased, and takes what changed", () => {
    const held = withNewest(undefined, page([5, 4, 3, 2], "c2"));
    const next = withNewest(held, { messages: [message(5, { status: "delivered" }), message(3), message(2)], next_cursor: "c2" });
    expect([ids(next), next.messages[0]?.status]).toEqual(["532", "delivered"]);
  });
  it("doesn't show one twice", () => expect(ids(withOlder(withNewest(undefined, page([3, 2], "c")), page([2, 1], null)))).toBe("321"));
});

it("groups by day, oldest first", () => {
  const days = byDays([message(3), message(2), message(1)], (at) => (at.getUTCHours() < 2 ? "a" : "b"));
  expect(days.map((each) => [each.day, each.messages.length])).toEqual([["a", 1], ["b", 2]]);
});

it("knows when the server is ahead", () => {
  expect(isBehind([message(2), message(1)], [message(2)])).toBe(false);
  expect(isBehind([message(2)], [message(3)])).toBe(true);
});
