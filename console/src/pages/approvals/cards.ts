/** Which approvals wait, in places that don't change: what is decided stays where it was, so that nothing moves under a pointer. */
import type { Schemas } from "@/api/client";

export type Approval = Schemas["Approval"];

/**
 * `shown` as they are now: the pending ones, those that were decided while they were shown, and new ones at the end, the oldest first.
 * What is neither pending nor known to be decided is gone.
 */
export function nextCards(shown: readonly Approval[], pending: readonly Approval[], settled: ReadonlyMap<string, Approval>): Approval[] {
  const byId = new Map(pending.map((each) => [each.id, each]));
  const known = new Set(shown.map((each) => each.id));
  const kept = shown.flatMap((each) => settled.get(each.id) ?? byId.get(each.id) ?? (each.state === "pending" ? [] : [each]));
  const fresh = pending.filter((each) => !known.has(each.id) && !settled.has(each.id) && each.state === "pending");
  return [...kept, ...fresh.toSorted((a, b) => a.created_at.localeCompare(b.created_at))];
}

export function isSame(a: readonly Approval[], b: readonly Approval[]): boolean {
  return a.length === b.length && a.every((each, at) => each === b[at]);
}
