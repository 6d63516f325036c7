/** An entry of the log as a sentence: what was done, to what, and where that is shown. */
import type { LinkProps } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import type { Sections } from "@/i18n/sections";
import { isE164, phone } from "@/lib/format";

type Texts = Sections["auditLog"];
export type Entry = Pick<Schemas["AuditEntry"], "action" | "subject" | "subject_kind" | "subject_name" | "fields">;

export interface Sentence {
  before: string;
  subject: string;
  after: string;
}

/** What was done, around the name of what it was done to; that is empty where the sentence has none. */
export function sentenceOf(t: Texts, entry: Entry): Sentence {
  const known: Record<string, string> = t.sentences;
  const text = Object.hasOwn(known, entry.action) ? (known[entry.action] ?? "") : t.unknown(entry.action);
  const [before = "", after] = text.split("{}");
  const subject = after === undefined ? "" : nameOf(entry);
  return { before: subject ? before : before.trimEnd(), subject, after: after ?? "" };
}

function nameOf({ subject, subject_name }: Entry): string {
  const name = subject_name ?? subject?.split("/")[0] ?? "";
  return isE164(name) ? phone(name) : name;
}

/** Which fields a change named, in words; empty for a read. What the platform says of its own acts is no field, and stays as it is. */
export function fieldsOf(t: Texts, entry: Entry): string {
  if (entry.fields.length === 0) return "";
  if (/^(erased|warned|disabled)/.test(entry.action)) return t.counts(entry.fields.join(", "));
  const words = [...new Set(entry.fields.map((field) => fieldName(t, field)))].join(", ");
  return entry.action.startsWith("update") ? t.changed(words) : t.named(words);
}

/** A field of the API in words, `limit_warning_seconds` for one; of a field in a field, that of the outer one. */
export function fieldName(t: Texts, path: string): string {
  const field = path.split(".")[0] ?? path;
  return Object.hasOwn(t.fields, field) ? (t.fields[field] ?? field) : field.replace(/_json$/, "").replaceAll("_", " ");
}

/** Where the subject is shown, if it still is. */
export function linkOf({ subject, subject_kind, subject_name }: Entry): LinkProps | null {
  const id = subject?.split("/")[0];
  if (!id || !subject_name) return null;
  switch (subject_kind) {
    case "flow":
      return { to: "/agents/$id", params: { id } };
    case "call":
      return { to: "/calls/$id", params: { id } };
    case "contact":
      return { to: "/contacts/$id", params: { id } };
    case "conversation":
      return { to: "/inbox/$id", params: { id } };
    case "campaign":
      return { to: "/campaigns/$id", params: { id } };
    case "number":
      return { to: "/numbers/$numberId", params: { numberId: id } };
    case "knowledge":
      return { to: "/knowledge/$id", params: { id } };
    case "tool":
      return { to: "/tools/$id", params: { id } };
    case "mcp_server":
      return { to: "/mcp-servers/$id", params: { id } };
    case "crm_connector":
      return { to: "/crm/$id", params: { id } };
    case "webhook":
      return { to: "/webhooks/$id", params: { id } };
    case "trigger":
      return { to: "/triggers/$id", params: { id } };
    case "template":
      return { to: "/inbox/templates" };
    case "approval":
      return { to: "/approvals" };
    case "voicemail":
      return { to: "/voicemails" };
    case "member":
    case "invite":
      return { to: "/team" };
    case "api_key":
      return { to: "/api-keys" };
    default:
      return null;
  }
}
