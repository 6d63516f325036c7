import { Ban, Plus } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, data } from "@/api/client";
import { asApiError, useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { AskOptIn } from "./ask-opt-in";
import { useOptOut } from "./queries";

type OptOut = Schemas["OptOut"];

/** Who wants no texts. */
export function OptOuts() {
  const t = useTexts("inbox");
  const [isAdding, setAdding] = useState(false);
  const [asked, setAsked] = useState<OptOut | null>(null);
  const query = useList(
    ["optOuts"],
    (cursor, signal) => data(api.GET("/api/sms/opt-outs", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.opt_outs.map((each) => ({ ...each, id: each.contact_e164 })),
  );
  const add = (
    <Button icon={Plus} needs="sms:write" onClick={() => setAdding(true)}>
      {t.optOuts.add}
    </Button>
  );
  return (
    <Page title={t.optOuts.title} lead={t.optOuts.lead} back={{ to: "/inbox", label: t.title }} actions={query.rows.length > 0 && add} isFlush>
      <Table
        label={t.optOuts.title}
        query={query}
        columns={[
          { key: "who", title: t.contact, width: "minmax(9rem, 1fr)", cell: (row) => <span className="tabular font-medium">{phone(row.contact_e164)}</span> },
          { key: "source", title: t.optOuts.source, width: "minmax(8rem, 1fr)", isWide: true, cell: (row) => t.optOuts.sources[row.source] },
          { key: "word", title: t.optOuts.word, width: "minmax(8rem, 1fr)", isWide: true, cell: (row) => (row.keyword ? `“${row.keyword}”` : "") },
          { key: "blocked", title: t.optOuts.carrier, width: "9rem", isWide: true, cell: (row) => row.carrier_blocked && <span title={t.optOuts.carrierBlockedLead}><Badge tone="warn">{t.optOuts.carrierBlocked}</Badge></span> },
          { key: "at", title: t.optOuts.since, width: "9rem", isRight: true, isWide: true, cell: (row) => <Time at={row.changed_at} /> },
          {
            key: "act",
            title: t.action,
            width: "7rem",
            isRight: true,
            cell: (row) => (
              <Button size="sm" needs="sms:write" onClick={() => setAsked(row)}>
                {t.optIn}
              </Button>
            ),
          },
        ]}
        empty={
          <Empty icon={Ban} title={t.optOuts.empty} action={add}>
            {t.optOuts.emptyLead}
          </Empty>
        }
      />
      {asked && <AskOptIn e164={asked.contact_e164} name={phone(asked.contact_e164)} isCarrierBlocked={asked.carrier_blocked} onClose={() => setAsked(null)} />}
      {isAdding && <Add onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Add({ onClose }: { onClose: () => void }) {
  const t = useTexts("inbox");
  const [text, setText] = useState("");
  const optOut = useOptOut(() => {
    toast.done(t.optOuts.added);
    onClose();
  });
  const fault = optOut.error ? asApiError(optOut.error).details.find((each) => each.field === "contact_e164")?.reason : undefined;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.optOuts.add}
      description={t.optOutLead}
      actions={
        <Button look="danger" needs="sms:write" busy={optOut.isPending} off={text.trim() ? null : t.recipientFirst} onClick={() => optOut.mutate({ e164: text, isOut: true })}>
          {t.optOut}
        </Button>
      }
    >
      <TextField label={t.phone} hint={t.phoneHint} error={fault} value={text} autoFocus onChange={(event) => setText(event.target.value)} />
    </Dialog>
  );
}
