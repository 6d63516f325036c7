import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useZone } from "@/api/me";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { fullTime, phone } from "@/lib/format";
import { SelectField } from "@/ui/field";
import { Badge, Card, Time, type Tone } from "@/ui/layout";
import { Table } from "@/ui/table";
import type { Campaign } from "./queries";
import type { RecipientStatus } from "./route";

const TONES: Record<RecipientStatus, Tone> = { pending: "plain", sending: "info", sent: "info", delivered: "good", failed: "bad", unknown: "warn", opted_out: "warn", skipped: "plain", canceled: "plain" };

/** Each recipient with its state, and why. */
export function Recipients({ campaign }: { campaign: Campaign }) {
  const t = useTexts("campaigns");
  const { status } = useSearch({ from: "/shell/campaigns/$id" });
  const navigate = useNavigate();
  const { id } = campaign;
  const query = useList(
    ["campaigns", id, "recipients", status],
    (cursor, signal) => data(api.GET("/api/sms/campaigns/{campaign_id}/recipients", { params: { path: { campaign_id: id }, query: { limit: 100, ...(status ? { status } : {}), ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.recipients,
  );
  const choices = [{ value: "", label: t.allStates }, ...Object.entries(t.recipientStatuses).map(([value, label]) => ({ value, label }))];
  return (
    <Card
      title={t.recipients}
      isFlush
      actions={
        <SelectField isBare label={t.status} value={status ?? ""} choices={choices} onChange={(event) => void navigate({ to: "/campaigns/$id", params: { id }, search: event.target.value ? { status: event.target.value as RecipientStatus } : {}, replace: true })} />
      }
    >
      <div className={`flex flex-col overflow-hidden rounded-b-card ${query.rows.length > 8 ? "h-[28rem]" : query.rows.length > 0 ? "max-h-[28rem]" : ""}`}>
        <Table
          label={t.recipients}
          query={query}
          columns={[
            { key: "who", title: t.to, width: "minmax(9rem, 1fr)", cell: (row) => <span className="tabular">{phone(row.contact_e164)}</span> },
            { key: "status", title: t.status, width: "8rem", cell: (row) => <Badge tone={TONES[row.status]}>{t.recipientStatuses[row.status]}</Badge> },
            { key: "reason", title: t.why, width: "minmax(7rem, 2fr)", isWide: true, cell: (row) => <Reason row={row} /> },
            { key: "at", title: t.changed, width: "7.5rem", isRight: true, isWide: true, cell: (row) => <Time at={row.changed_at} /> },
            { key: "open", title: t.thread, width: "5rem", isRight: true, cell: (row) => row.message_id && <OpenThread messageId={row.message_id} /> },
          ]}
          empty={<p className="px-4 py-8 text-center text-dim">{status ? t.noneInState : t.noRecipients}</p>}
        />
      </div>
    </Card>
  );
}

function Reason({ row }: { row: Schemas["CampaignRecipient"] }) {
  const t = useTexts("campaigns");
  const zone = useZone();
  if (!row.reason) return null;
  const words = t.recipientReasons[row.reason] ?? row.reason_text ?? row.reason;
  return (
    <span title={row.due_at ? `${words} (${fullTime(row.due_at, zone)})` : words} className="text-[13px] text-dim">
      {words}
      {row.due_at && (
        <>
          {" "}
          (<Time at={row.due_at} />)
        </>
      )}
    </span>
  );
}

/** A recipient knows its message, and the message its thread. */
function OpenThread({ messageId }: { messageId: string }) {
  const t = useTexts("campaigns");
  const navigate = useNavigate();
  const [isBusy, setBusy] = useState(false);
  return (
    <Link
      to="/inbox"
      className="font-medium text-accent underline"
      aria-busy={isBusy || undefined}
      onClick={(event) => {
        event.preventDefault();
        setBusy(true);
        void data(api.GET("/api/sms/messages/{id}", { params: { path: { id: messageId } } }))
          .then(({ message }) => navigate({ to: "/inbox/$id", params: { id: message.conversation_id } }))
          .finally(() => setBusy(false));
      }}
    >
      {t.open}
    </Link>
  );
}
