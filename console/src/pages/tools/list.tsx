/** The tools of the organization: requests to its own systems that agents may make. */
import { useNavigate } from "@tanstack/react-router";
import { Plus, Wrench } from "lucide-react";
import { useMemo, useRef } from "react";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { ButtonLink } from "@/ui/button";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { ToolTabs } from "./head";
import { type Tool, useIsAdmin, useTools } from "./queries";

export function Tools() {
  const t = useTexts("tools");
  const navigate = useNavigate();
  const isAdmin = useIsAdmin();
  const query = useTools();
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/tools/$id", params: { id: row.id } }), 56);
  useCommands(useMemo<Command[]>(() => (isAdmin ? [{ id: "tool new", label: t.create, keys: "n", run: () => void navigate({ to: "/tools/new" }) }] : []), [isAdmin, t, navigate]));
  const create = isAdmin && (
    <ButtonLink look="primary" icon={Plus} to="/tools/new">
      {t.create}
    </ButtonLink>
  );
  return (
    <div ref={around} className="flex h-full flex-col">
      <Page title={t.title} lead={t.lead} guide="/guides/tools" actions={create} isFlush>
        <ToolTabs active="tools" />
        <Table
          label={t.title}
          query={query}
          columns={columnsOf(t)}
          rowPx={56}
          isChosen={keys.isChosen}
          link={(row) => ({ to: "/tools/$id", params: { id: row.id } })}
          empty={
            <Empty icon={Wrench} title={t.emptyTitle} action={create}>
              {t.emptyLead}
            </Empty>
          }
        />
      </Page>
    </div>
  );
}

function columnsOf(t: ReturnType<typeof useTexts<"tools">>): Column<Tool>[] {
  return [
    {
      key: "name",
      title: t.name,
      width: "minmax(10rem, 2fr)",
      cell: (row) => (
        <>
          <span className="block truncate font-mono text-[13px]">{row.name}</span>
          <span className="block truncate text-xs font-normal text-dim">{row.description}</span>
        </>
      ),
    },
    {
      key: "request",
      title: t.request,
      width: "minmax(10rem, 2fr)",
      isWide: true,
      cell: (row) => (
        <span className="font-mono text-xs" title={row.url}>
          <span className="text-dim">{row.method ?? "GET"}</span> {row.url}
        </span>
      ),
    },
    { key: "approval", title: t.approval, width: "8rem", isWide: true, cell: (row) => row.requires_approval && <Badge tone="warn">{t.needsApproval}</Badge> },
    { key: "version", title: t.version, width: "4.5rem", isWide: true, isRight: true, cell: (row) => row.version },
    { key: "updated", title: t.updated, width: "7rem", isRight: true, cell: (row) => <Time at={row.updated_at} /> },
  ];
}
