/** What is held of one thread: its newest messages without a gap, newest first, as far back as one has scrolled. */
import type { Schemas } from "@/api/client";

export type Message = Schemas["Message"];

export interface History {
  messages: Message[];
  /** Where older ones go on; null when these are all. */
  older: string | null;
}

interface MessagePage {
  messages: Message[];
  next_cursor?: string | null;
}

/** The newest page, asked again: it replaces what it covers, and keeps what is older if it reaches that far. */
export function withNewest(held: History | undefined, page: MessagePage): History {
  const fresh = { messages: page.messages, older: page.next_cursor ?? null };
  const last = page.messages.at(-1);
  if (!held || !last || !fresh.older) return fresh;
  const at = held.messages.findIndex((each) => each.id === last.id);
  if (at < 0) return fresh; // more came meanwhile than a page holds: begin anew rather than show a gap
  return { messages: [...page.messages, ...held.messages.slice(at + 1)], older: held.older };
}

/** A page further back. */
export function withOlder(held: History, page: MessagePage): History {
  const known = new Set(held.messages.map((each) => each.id));
  return { messages: [...held.messages, ...page.messages.filter((each) => !known.has(each.id))], older: page.next_cursor ?? null };
}

export interface Day {
  day: string;
  messages: Message[];
}

/** As it is read: oldest first, by days of the organization. */
export function byDays(newestFirst: readonly Message[], dayOf: (at: Date) => string): Day[] {
  const days: Day[] = [];
  for (const message of newestFirst.toReversed()) {
    const day = dayOf(new Date(message.created_at));
    const current = days.at(-1);
    if (current?.day === day) current.messages.push(message);
    else days.push({ day, messages: [message] });
  }
  return days;
}

/** Whether the server has a message that isn't shown here. */
export function isBehind(shown: readonly Message[], newest: readonly Message[]): boolean {
  const known = new Set(shown.map((each) => each.id));
  return newest.some((each) => !known.has(each.id));
}
