import { Mail } from "lucide-react";
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { Badge, Empty, Time, type Tone } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { useEmails } from "./queries";

type Email = Schemas["Email"];
const TONES: Record<Email["state"], Tone> = { queued: "info", sent: "good", failed: "bad", bounced: "bad", dropped: "plain" };

function useColumns(): Column<Email>[] {
  const t = useTexts("settings");
  return [
    { key: "to", title: t.email.to, width: "minmax(9rem, 2fr)", cell: (row) => row.to },
    { key: "kind", title: t.email.kind, width: "minmax(6rem, 1fr)", isWide: true, cell: (row) => t.email.kinds[row.kind] },
    {
      key: "state",
      title: t.email.state,
      width: "minmax(6rem, 2fr)",
      cell: (row) => (
        <span className="flex min-w-0 items-center gap-2">
          <Badge tone={TONES[row.state]}>{t.email.states[row.state]}</Badge>
          <span className="truncate text-xs text-dim max-md:hidden" title={row.error ?? undefined}>
            {row.error ?? (row.attempts > 1 ? t.email.attempts(row.attempts) : "")}
          </span>
        </span>
      ),
    },
    { key: "when", title: t.email.when, width: "8.5rem", isRight: true, cell: (row) => <Time at={row.ended_at ?? row.created_at} /> },
  ];
}

export function Emails() {
  const t = useTexts("settings");
  const columns = useColumns();
  return (
    <>
      <p className="px-6 py-3 text-dim max-md:px-4">{t.emailsLead}</p>
      <Table
        label={t.tabs.emails}
        query={useEmails()}
        columns={columns}
        empty={
          <Empty icon={Mail} title={t.email.emptyTitle}>
            {t.email.emptyLead}
          </Empty>
        }
      />
    </>
  );
}
