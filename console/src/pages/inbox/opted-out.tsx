import { Link } from "@tanstack/react-router";
import { Undo2 } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { AskOptIn } from "./ask-opt-in";
import { nameOf } from "./names";
import type { Conversation } from "./queries";

/** Why nothing is sent to a contact: the sentence that was heard as an opt-out, which a person may undo. */
export function OptedOut({ conversation }: { conversation: Conversation }) {
  const t = useTexts("inbox");
  const e164 = conversation.contact_e164;
  // Another text may be another opt-out.
  const key = ["conversations", conversation.id, "optOut", conversation.last_message_at];
  const query = useThing(key, (signal) => data(api.GET("/api/sms/opt-outs", { params: { query: { contact_e164: e164 } }, signal })));
  const optOut = query.data?.opt_outs[0];
  const [asks, setAsks] = useState(false);
  const sentence = sentenceOf(optOut);
  return (
    <>
      <span className="min-w-0 flex-1">
        <span className="break-words">{sentence ? t.optedOutBy(sentence) : t.optedOutReason}</span>
        {optOut?.carrier_blocked && <span className="block text-[13px] text-warn">{t.optOuts.carrierBlockedLead}</span>}
      </span>
      {sentence ? (
        <Button size="sm" icon={Undo2} needs="sms:write" onClick={() => setAsks(true)}>
          {t.undoOptOut}
        </Button>
      ) : (
        <Link to="/inbox/opt-outs" className="font-medium text-accent underline">
          {t.optOuts.title}
        </Link>
      )}
      {asks && <AskOptIn e164={e164} name={nameOf(conversation)} isCarrierBlocked={optOut?.carrier_blocked ?? false} onClose={() => setAsks(false)} />}
    </>
  );
}

/** The contact's own words, if a sentence and not a keyword was heard. */
function sentenceOf(optOut: Schemas["OptOut"] | undefined): string | null {
  if (!optOut?.keyword || optOut.keyword === "STOP") return null;
  return optOut.source === "keyword" || optOut.source === "agent" ? optOut.keyword : null;
}
