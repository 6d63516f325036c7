import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Download, ScrollText, X } from "lucide-react";
import { useMemo } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button, buttonClass } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { TextField } from "@/ui/field";
import { Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import type { AuditFilter } from "./route";

type Entry = Schemas["AuditEntry"] & { id: string };
const EXPORT = "/api/audit-log/export";

export function AuditLog() {
  const t = useTexts("auditLog");
  const filter = useSearch({ from: "/shell/audit-log" });
  const query = useList(
    ["audit-log", filter],
    (cursor, signal) => data(api.GET("/api/audit-log", { params: { query: { limit: 100, ...filter, ...(cursor ? { cursor } : {}) } }, signal })),
    (page): Entry[] => page.entries.map((each) => ({ ...each, id: `${each.request_id} ${each.at} ${each.action} ${each.subject ?? ""}` })),
  );
  const columns = useColumns(filter);
  const commands = useMemo<Command[]>(() => [{ id: "audit export", label: t.export, run: () => location.assign(EXPORT) }], [t]);
  useCommands(commands);
  const actions = (
    <a href={EXPORT} download="audit-log.ndjson" className={buttonClass()}>
      <Download size={16} aria-hidden />
      {t.export}
    </a>
  );
  return (
    <Page title={t.title} lead={t.lead} actions={actions} isFlush>
      <Verify />
      <Filters key={JSON.stringify(filter)} filter={filter} entries={query.rows} />
      <Table
        label={t.title}
        query={query}
        columns={columns}
        rowPx={48}
        empty={
          <Empty icon={ScrollText} title={t.emptyTitle}>
            {t.emptyLead}
          </Empty>
        }
      />
    </Page>
  );
}

function Verify() {
  const t = useTexts("auditLog");
  return (
    <details className="mx-6 mb-3 max-w-3xl text-[13px] max-md:mx-4">
      <summary className="w-fit font-medium text-accent hover:underline">{t.verifyTitle}</summary>
      <div className="mt-2 space-y-2 text-dim">
        <p>{t.verify}</p>
        <Copy value="hum audit verify audit-log.ndjson" />
        <p>{t.verifyMore}</p>
      </div>
    </details>
  );
}

function Filters({ filter, entries }: { filter: AuditFilter; entries: Entry[] }) {
  const t = useTexts("auditLog");
  const navigate = useNavigate();
  const actorName = entries.find((each) => each.actor === filter.actor)?.actor_name ?? filter.actor;
  return (
    <form
      role="search"
      className="flex flex-wrap items-center gap-2 px-6 pb-3 max-md:px-4"
      onSubmit={(event) => {
        event.preventDefault();
        const action = String(new FormData(event.currentTarget).get("action")).trim();
        void navigate({ to: "/audit-log", search: { ...(filter.actor ? { actor: filter.actor } : {}), ...(action ? { action } : {}) } });
      }}
    >
      <div className="w-64 max-md:w-full">
        <TextField isBare type="search" label={t.filterAction} placeholder={`${t.filterAction}: updateFlow`} title={t.filterActionHint} name="action" maxLength={64} defaultValue={filter.action} autoComplete="off" spellCheck={false} />
      </div>
      {filter.actor && (
        <Button icon={X} onClick={() => void navigate({ to: "/audit-log", search: filter.action ? { action: filter.action } : {} })}>
          {t.onlyActor(actorName ?? "")}
        </Button>
      )}
      {(filter.actor || filter.action) && (
        <Link to="/audit-log" search={{}} className="text-[13px] text-dim underline">
          {t.clear}
        </Link>
      )}
    </form>
  );
}

function useColumns(filter: AuditFilter): Column<Entry>[] {
  const t = useTexts("auditLog");
  return [
    { key: "when", title: t.when, width: "7.5rem", cell: (row) => <Time at={row.at} /> },
    {
      key: "who",
      title: t.who,
      width: "minmax(4.5rem, 1.2fr)",
      cell: (row) => (
        <>
          <Link to="/audit-log" search={{ ...filter, actor: row.actor }} title={t.onlyActor(row.actor_name || row.actor)} className="block truncate hover:underline">
            {row.actor_name || row.actor}
          </Link>
          <span className="block truncate text-xs text-dim">{t.kinds[row.actor.split(":")[0] ?? ""] ?? row.actor}</span>
        </>
      ),
    },
    {
      key: "action",
      title: t.action,
      width: "minmax(6rem, 1.4fr)",
      cell: (row) => (
        <Link to="/audit-log" search={{ ...filter, action: row.action }} title={t.onlyAction(row.action)} className="block truncate font-mono text-[13px] hover:underline">
          {row.action}
        </Link>
      ),
    },
    { key: "subject", title: t.subject, width: "minmax(7rem, 1.6fr)", isWide: true, cell: (row) => <span className="font-mono text-xs" title={row.subject ?? undefined}>{row.subject ?? "–"}</span> },
    { key: "fields", title: t.fields, width: "minmax(7rem, 1.6fr)", isWide: true, cell: (row) => <span className="text-xs text-dim" title={row.fields.join(", ")}>{row.fields.join(", ")}</span> },
    { key: "seal", title: t.seal, width: "6.5rem", isWide: true, isRight: true, cell: (row) => (row.seq === null ? <span className="text-xs text-dim">{t.unsealed}</span> : <span title={`${t.hash} ${row.hash ?? ""}`}>#{row.seq}</span>) },
  ];
}
