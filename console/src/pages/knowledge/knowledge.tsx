/** The documents that agents look things up in, and a search as they make it. */
import { useNavigate } from "@tanstack/react-router";
import { BookOpen, Plus } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { bytes, count } from "@/lib/format";
import { Button } from "@/ui/button";
import { Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { AddDocument } from "./add";
import { type Document, useDocuments } from "./queries";
import { knowledgeRoute } from "./route";
import { SearchTest } from "./search-test";
import { StatusBadge } from "./status";

export function Knowledge() {
  const t = useTexts("knowledge");
  const { tab } = knowledgeRoute.useSearch();
  const canWrite = useCan("knowledge:write");
  const [adding, setAdding] = useState<File[] | null>(null);
  useCommands(useMemo<Command[]>(() => (canWrite ? [{ id: "knowledge add", label: t.addTitle, keys: "n", run: () => setAdding([]) }] : []), [canWrite, t]));
  const add = (
    <Button look="primary" icon={Plus} needs="knowledge:write" onClick={() => setAdding([])}>
      {t.addTitle}
    </Button>
  );
  return (
    <div
      className="flex h-full flex-col"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        if (adding || event.dataTransfer.files.length === 0) return;
        event.preventDefault();
        if (canWrite) setAdding([...event.dataTransfer.files]);
      }}
    >
      <Page title={t.title} lead={t.lead} guide="/guides/knowledge" actions={add} isFlush>
        <Tabs
          label={t.title}
          tabs={[
            { label: t.documents, isActive: tab === undefined, link: { to: "/knowledge", search: {} } },
            { label: t.searchTab, isActive: tab === "search", link: { to: "/knowledge", search: { tab: "search" } } },
          ]}
        />
        {tab === "search" ? <SearchTest /> : <Documents add={add} />}
      </Page>
      {adding && <AddDocument dropped={adding} onClose={() => setAdding(null)} />}
    </div>
  );
}

function Documents({ add }: { add: React.ReactNode }) {
  const t = useTexts("knowledge");
  const navigate = useNavigate();
  const query = useDocuments();
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/knowledge/$id", params: { id: row.id } }), 56);
  const columns = useColumns();
  return (
    <div ref={around} className="flex min-h-0 flex-1 flex-col">
      <Table
        label={t.documents}
        query={query}
        columns={columns}
        rowPx={56}
        isChosen={keys.isChosen}
        link={(row) => ({ to: "/knowledge/$id", params: { id: row.id } })}
        empty={
          <Empty icon={BookOpen} title={t.emptyTitle} action={add}>
            {t.emptyLead}
          </Empty>
        }
      />
    </div>
  );
}

function useColumns(): Column<Document>[] {
  const t = useTexts("knowledge");
  return [
    {
      key: "name",
      title: t.name,
      width: "minmax(9rem, 2.4fr)",
      cell: (row) => (
        <>
          <span className="block truncate">{row.name}</span>
          <span className="block truncate text-xs font-normal text-dim">{row.url ?? [row.format && t.formats[row.format], bytes(row.content_bytes)].filter(Boolean).join(" · ")}</span>
        </>
      ),
    },
    {
      key: "status",
      title: t.status,
      width: "minmax(6.5rem, 1.6fr)",
      cell: (row) => (
        <span className="flex min-w-0 items-center gap-2" title={row.failure ?? undefined}>
          <StatusBadge status={row.status} />
          {row.failure && <span className="truncate text-xs text-bad max-md:hidden">{row.failure}</span>}
        </span>
      ),
    },
    { key: "passages", title: t.passages, width: "5.5rem", isWide: true, isRight: true, cell: (row) => count(row.passages) },
    { key: "language", title: t.language, width: "6rem", isWide: true, cell: (row) => <span className="text-dim">{row.language}</span> },
    { key: "updated", title: t.updated, width: "7.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.updated_at} /> },
  ];
}
