import { phone } from "@/lib/format";
import type { Schemas } from "@/api/client";
import type { Conversation } from "./queries";

/** What a thread is called: its contact's name, else its number. */
export function nameOf(conversation: Pick<Conversation, "contact" | "contact_e164">): string {
  return conversation.contact?.name ?? phone(conversation.contact_e164);
}

/** The members who can answer, and so be assigned a conversation. */
export function answering<M extends Pick<Schemas["Member"], "role">>(members: readonly M[]): M[] {
  return members.filter((each) => each.role !== "viewer");
}
