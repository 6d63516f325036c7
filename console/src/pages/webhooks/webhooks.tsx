/** Endpoints of other systems that are told what happens. */
import { useNavigate } from "@tanstack/react-router";
import { Activity, Plus, Webhook as WebhookIcon } from "lucide-react";
import { useMemo, useRef } from "react";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button, ButtonLink } from "@/ui/button";
import { Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { StatusBadge, useEventWords } from "./labels";
import { type Webhook, useWebhooks } from "./queries";

const ROW_PX = 56;

export function Webhooks() {
  const t = useTexts("webhooks");
  const navigate = useNavigate();
  const mayWrite = useCan("webhooks:write");
  const query = useWebhooks();
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/webhooks/$id", params: { id: row.id } }), ROW_PX);
  const columns = useColumns();
  const commands = useMemo<Command[]>(() => (mayWrite ? [{ id: "webhook create", label: t.create, keys: "n", run: () => void navigate({ to: "/webhooks/new" }) }] : []), [t, navigate, mayWrite]);
  useCommands(commands);
  const create = (
    <Button look="primary" icon={Plus} needs="webhooks:write" onClick={() => void navigate({ to: "/webhooks/new" })}>
      {t.create}
    </Button>
  );
  return (
    <Page
      title={t.title}
      lead={t.lead}
      guide="/guides/webhooks"
      isFlush
      actions={
        <>
          <ButtonLink to="/events" icon={Activity}>
            {t.toEvents}
          </ButtonLink>
          {create}
        </>
      }
    >
      <div ref={around} className="flex min-h-0 flex-1 flex-col">
        <Table
          label={t.title}
          query={query}
          columns={columns}
          rowPx={ROW_PX}
          isChosen={keys.isChosen}
          link={(row) => ({ to: "/webhooks/$id", params: { id: row.id } })}
          empty={
            <Empty icon={WebhookIcon} title={t.emptyTitle} action={create}>
              {t.emptyLead}
            </Empty>
          }
        />
      </div>
    </Page>
  );
}

function useColumns(): readonly Column<Webhook>[] {
  const t = useTexts("webhooks");
  const words = useEventWords();
  return [
    {
      key: "url",
      title: t.endpoint,
      width: "minmax(10rem, 2fr)",
      cell: (row) => (
        <>
          <span className="block truncate font-medium">{row.description || row.url}</span>
          {row.description && <span className="block truncate font-mono text-xs font-normal text-dim">{row.url}</span>}
        </>
      ),
    },
    { key: "events", title: t.events, width: "minmax(8rem, 1.4fr)", isWide: true, cell: (row) => <span className="text-dim" title={words(row.events)}>{words(row.events)}</span> },
    { key: "delivered", title: t.lastDelivered, width: "8.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.last_delivered_at} /> },
    { key: "failed", title: t.lastFailed, width: "8.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.last_failed_at} /> },
    { key: "status", title: t.status, width: "8.5rem", isRight: true, cell: (row) => <StatusBadge of={row} /> },
  ];
}
