/** Which news are worth a notice, and what it says. Nothing here shows anything. */
import type { Schemas } from "@/api/client";
import type { News } from "@/api/live";
import { UNTAKEN, otherParty } from "@/lib/party";
import type { Kind } from "./choice";

/** So long after its end a call is news. */
const FRESH_MS = 10 * 60_000;

export interface Notice {
  kind: Kind;
  /** The same in every tab, and for the same thing told twice. */
  key: string;
  /** A name, else a number; nothing where none is known. */
  who: { name: string } | { number: string } | null;
  /** What was written or asked, for those who chose to see it. */
  words: string | null;
  /** Where it is seen. */
  to: string;
}

export interface Reader {
  /** Who is signed in. */
  id: string | undefined;
  /** Whether an agent answers texts to this number of ours. */
  isAnswered: (number: string | null) => Promise<boolean>;
}

/** The notices of one tab; it remembers what was unread, since news of a conversation come with every change of it. */
export class Notices {
  private readonly unread = new Map<string, number>();

  constructor(private readonly reader: Reader) {}

  async of(news: News): Promise<Notice | null> {
    if (news.type === "voicemail.created") return ofVoicemail(news as unknown as Schemas["Voicemail"]);
    if (news.type === "call.updated") return ofCall(news as unknown as Schemas["Call"]);
    if (news.type === "approval.updated") return ofApproval(news as unknown as Schemas["Approval"]);
    if (news.type === "conversation.updated") return this.ofConversation(news as unknown as Schemas["Conversation"]);
    return null;
  }

  private async ofConversation(row: Schemas["Conversation"]): Promise<Notice | null> {
    const waits = isForMe(row, this.reader.id) && (row.ai_paused || !(row.flow_id || (await this.reader.isAnswered(row.twilio_number_id))));
    const unread = waits ? row.unread_count : 0;
    const before = this.unread.get(row.id) ?? 0;
    this.unread.set(row.id, unread);
    if (unread <= before) return null;
    return {
      kind: "text",
      key: `${row.id}/${row.last_message_at}`,
      who: row.contact?.name ? { name: row.contact.name } : { number: row.contact_e164 },
      words: row.last_message_direction === "inbound" ? row.last_message_preview : null,
      to: `/inbox/${row.id}`,
    };
  }
}

/** Whether a person has something to read there, and it isn't a colleague's. */
function isForMe(row: Schemas["Conversation"], me: string | undefined): boolean {
  return row.status === "open" && row.unread_count > 0 && (row.assignee_id === null || row.assignee_id === me);
}

function ofVoicemail(row: Schemas["Voicemail"]): Notice | null {
  if (row.heard) return null;
  return { kind: "voicemail", key: row.id, who: row.contact_name ? { name: row.contact_name } : { number: row.from }, words: null, to: `/voicemails?id=${row.id}` };
}

/** One whose transfer nobody took, at its end: news of a call come with every later note, too. */
function ofCall(row: Schemas["Call"]): Notice | null {
  if (!row.tags.includes(UNTAKEN) || !row.ended_at || Date.now() - Date.parse(row.ended_at) > FRESH_MS) return null;
  return { kind: "transfer", key: row.id, who: row.contact?.name ? { name: row.contact.name } : { number: otherParty(row) }, words: null, to: `/calls/${row.id}` };
}

/** An agent that asks in a call has a caller who waits on the phone. */
function ofApproval(row: Schemas["Approval"]): Notice | null {
  if (row.state !== "pending") return null;
  return { kind: row.call_id ? "call" : "approval", key: row.id, who: null, words: row.summary, to: "/approvals" };
}

/** Whether a page at this path shows the thing already. */
export function isShownAt(path: string, { to }: Pick<Notice, "to">): boolean {
  return path === to.split("?")[0];
}

/** `(3) Inbox · HUM`, from a title with another count or none. */
export function counted(title: string, count: number): string {
  const plain = title.replace(/^\(\d+\+?\) /, "");
  return count > 0 ? `(${count}) ${plain}` : plain;
}
