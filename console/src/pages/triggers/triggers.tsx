/** Addresses at which other systems post what happened there. */
import { useNavigate } from "@tanstack/react-router";
import { Plus, Zap } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { CreateTrigger } from "./create";
import { type Trigger, useTriggers } from "./queries";

const ROW_PX = 56;

export function Triggers() {
  const t = useTexts("triggers");
  const navigate = useNavigate();
  const mayWrite = useCan("integrations:write");
  const [isCreating, setCreating] = useState(false);
  const query = useTriggers();
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/triggers/$id", params: { id: row.id } }), ROW_PX);
  const columns = useColumns();
  const commands = useMemo<Command[]>(() => (mayWrite ? [{ id: "trigger create", label: t.create, keys: "n", run: () => setCreating(true) }] : []), [t, mayWrite]);
  useCommands(commands);
  const create = (
    <Button look="primary" icon={Plus} needs="integrations:write" onClick={() => setCreating(true)}>
      {t.create}
    </Button>
  );
  return (
    <Page title={t.title} lead={t.lead} guide="/guides/triggers" isFlush actions={create}>
      <div ref={around} className="flex min-h-0 flex-1 flex-col">
        <Table
          label={t.title}
          query={query}
          columns={columns}
          rowPx={ROW_PX}
          isChosen={keys.isChosen}
          link={(row) => ({ to: "/triggers/$id", params: { id: row.id } })}
          empty={
            <Empty icon={Zap} title={t.emptyTitle} action={create}>
              {t.emptyLead}
            </Empty>
          }
        />
      </div>
      {isCreating && <CreateTrigger onClose={() => setCreating(false)} />}
    </Page>
  );
}

export function OnBadge({ of }: { of: Trigger }) {
  const t = useTexts("triggers");
  return <Badge tone={of.enabled ? "good" : "plain"}>{of.enabled ? t.on : t.off}</Badge>;
}

function useColumns(): readonly Column<Trigger>[] {
  const t = useTexts("triggers");
  return [
    {
      key: "name",
      title: t.name,
      width: "minmax(9rem, 1.6fr)",
      cell: (row) => (
        <>
          <span className="block truncate font-medium">{row.name}</span>
          <code className="block truncate font-mono text-xs font-normal text-dim">{row.event}</code>
        </>
      ),
    },
    { key: "signed", title: t.signed, width: "6rem", isWide: true, cell: (row) => <span className="text-dim">{row.signed ? t.yes : t.no}</span> },
    { key: "received", title: t.lastReceived, width: "9rem", isWide: true, isRight: true, cell: (row) => <Time at={row.last_received_at} /> },
    {
      key: "refused",
      title: t.lastRefused,
      width: "9rem",
      isWide: true,
      isRight: true,
      cell: (row) => (
        <span title={row.last_refusal ? (t.refusals[row.last_refusal] ?? row.last_refusal) : undefined} className={row.last_refused_at ? "text-bad" : ""}>
          <Time at={row.last_refused_at} />
        </span>
      ),
    },
    { key: "state", title: t.state, width: "5.5rem", isRight: true, cell: (row) => <OnBadge of={row} /> },
  ];
}
