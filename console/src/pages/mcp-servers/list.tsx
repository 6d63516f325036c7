/** MCP servers: other systems' tools for agents. */
import { useNavigate } from "@tanstack/react-router";
import { Plug, Plus } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { StatusBadge } from "./badges";
import { ServerForm } from "./form";
import { type Server, useServers } from "./queries";

export function McpServers() {
  const t = useTexts("mcpServers");
  const navigate = useNavigate();
  const canWrite = useCan("integrations:write");
  const query = useServers();
  const [isAdding, setAdding] = useState(false);
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/mcp-servers/$id", params: { id: row.id } }), 56);
  useCommands(useMemo<Command[]>(() => (canWrite ? [{ id: "mcp add", label: t.add, keys: "n", run: () => setAdding(true) }] : []), [canWrite, t]));
  const add = (
    <Button look="primary" icon={Plus} needs="integrations:write" onClick={() => setAdding(true)}>
      {t.add}
    </Button>
  );
  return (
    <div ref={around} className="flex h-full flex-col">
      <Page title={t.title} lead={t.lead} guide="/guides/mcp" actions={add} isFlush>
        <Table
          label={t.title}
          query={query}
          columns={columnsOf(t)}
          rowPx={56}
          isChosen={keys.isChosen}
          link={(row) => ({ to: "/mcp-servers/$id", params: { id: row.id } })}
          empty={
            <Empty icon={Plug} title={t.emptyTitle} action={add}>
              {t.emptyLead}
            </Empty>
          }
        />
      </Page>
      {isAdding && <ServerForm server={null} onClose={() => setAdding(false)} onDone={(server) => void navigate({ to: "/mcp-servers/$id", params: { id: server.id } })} />}
    </div>
  );
}

function columnsOf(t: ReturnType<typeof useTexts<"mcpServers">>): Column<Server>[] {
  return [
    {
      key: "name",
      title: t.name,
      width: "minmax(9rem, 2fr)",
      cell: (row) => (
        <>
          <span className="block truncate">{row.name}</span>
          <span className="block truncate text-xs font-normal text-dim">{row.url}</span>
        </>
      ),
    },
    {
      key: "status",
      title: t.status,
      width: "minmax(6.5rem, 1.6fr)",
      cell: (row) => (
        <span className="flex min-w-0 items-center gap-2" title={row.failure ?? undefined}>
          <StatusBadge of={row} />
          {row.enabled && row.failure && <span className="truncate text-xs text-bad max-md:hidden">{row.failure}</span>}
        </span>
      ),
    },
    {
      key: "tools",
      title: t.tools,
      width: "8rem",
      isRight: true,
      cell: (row) => (
        <span className="inline-flex items-center justify-end gap-2">
          {row.waiting_count > 0 && <Badge tone="warn">{t.waiting(row.waiting_count)}</Badge>}
          {row.tool_count}
        </span>
      ),
    },
    { key: "refreshed", title: t.refreshed, width: "8rem", isWide: true, isRight: true, cell: (row) => <Time at={row.refreshed_at} isRelative /> },
  ];
}
