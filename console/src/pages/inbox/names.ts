import { phone } from "@/lib/format";
import type { Conversation } from "./queries";

/** What a thread is called: its contact's name, else its number. */
export function nameOf(conversation: Pick<Conversation, "contact" | "contact_e164">): string {
  return conversation.contact?.name ?? phone(conversation.contact_e164);
}
