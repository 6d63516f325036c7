import { describe, expect, it } from "vitest";
import en from "@/i18n/en/auditLog";
import es from "@/i18n/es/auditLog";
import { type Entry, fieldsOf, linkOf, sentenceOf } from "./sentence";

const PAUSED: Entry = { action: "pauseCampaign", subject: "camp_1", subject_kind: "campaign", subject_name: "January recall", fields: [] };

function said(texts: typeof en, entry: Entry): string {
  const { before, subject, after } = sentenceOf(texts, entry);
  return `Maria ${before}${subject}${after}`;
}

describe("an entry of the log", () => {
  it("is a sentence in the reader's language, with names", () => {
    expect(said(en, PAUSED)).toBe("Maria paused the campaign January recall");
    expect(said(es, PAUSED)).toBe("Maria pausó la campaña January recall");
    expect(linkOf(PAUSED)).toEqual({ to: "/campaigns/$id", params: { id: "camp_1" } });
  });

  it("names what is deleted by its id, and leads nowhere then", () => {
    const gone: Entry = { ...PAUSED, subject_name: null };
    expect(said(en, gone)).toBe("Maria paused the campaign camp_1");
    expect(linkOf(gone)).toBeNull();
  });

  it("needs no subject, and shows numbers as people write them", () => {
    expect(said(en, { action: "syncNumbers", subject: null, subject_kind: "number", subject_name: null, fields: [] })).toBe("Maria compared the numbers with the carrier");
    expect(said(en, { action: "createFlow", subject: null, subject_kind: "flow", subject_name: null, fields: [] })).toBe("Maria created the agent");
    expect(said(en, { action: "blockNumber", subject: "+13175550142", subject_kind: "blocked_number", subject_name: null, fields: [] })).toContain("317");
  });

  it("says which fields in words", () => {
    const entry: Entry = { action: "updateFlow", subject: "flow_1", subject_kind: "flow", subject_name: "Desk", fields: ["system_prompt", "limit_warning_seconds", "turn_config_json.vad"] };
    expect(fieldsOf(en, entry)).toBe("Changed: instructions, limit warning seconds, turn-taking");
    expect(fieldsOf(es, entry)).toBe("Cambió: instrucciones, momento del aviso de límite, turnos de palabra");
    expect(fieldsOf(en, PAUSED)).toBe("");
    expect(fieldsOf(en, { ...PAUSED, action: "erasedContact", fields: ["calls=3"] })).toBe("Details: calls=3");
  });

  it("falls back for an operation of a newer server, and for names that every object has", () => {
    expect(said(en, { ...PAUSED, action: "foldCampaign" })).toBe('Maria did "foldCampaign" to January recall');
    expect(said(en, { ...PAUSED, action: "constructor" })).toContain('"constructor"');
  });
});
