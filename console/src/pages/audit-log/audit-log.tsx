import { Link, useSearch } from "@tanstack/react-router";
import { Download, ScrollText } from "lucide-react";
import { useMemo } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useZone } from "@/api/me";
import { useList } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import type { Sections } from "@/i18n/sections";
import { nextDay, startOfDay } from "@/lib/day";
import { buttonClass } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { Filters } from "./filters";
import type { AuditFilter } from "./route";
import { fieldsOf, linkOf, sentenceOf } from "./sentence";

type Row = Schemas["AuditEntry"] & { id: string };
const EXPORT = "/api/audit-log/export";

export function AuditLog() {
  const t = useTexts("auditLog");
  const filter = withDays(useSearch({ from: "/shell/audit-log" }));
  const zone = useZone();
  const wanted = {
    ...(filter.actor ? { actor: filter.actor } : {}),
    ...(filter.kind ? { subject_kind: filter.kind as Schemas["AuditSubjectKind"] } : {}),
    ...(filter.from ? { at_from: startOfDay(filter.from, zone) } : {}),
    ...(filter.to ? { at_to: startOfDay(nextDay(filter.to), zone) } : {}),
  };
  const query = useList(
    ["audit-log", wanted],
    (cursor, signal) => data(api.GET("/api/audit-log", { params: { query: { limit: 100, ...wanted, ...(cursor ? { cursor } : {}) } }, signal })),
    (page): Row[] => page.entries.map((each) => ({ ...each, id: `${each.request_id} ${each.at} ${each.action} ${each.subject ?? ""}` })),
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
      <Filters filter={filter} shown={query.rows.map((each) => ({ actor: each.actor, name: actorOf(t, each) }))} />
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

/** The filter without what is no day: an address may hold anything. */
function withDays({ from, to, ...filter }: AuditFilter): AuditFilter {
  const isDay = (day: string | undefined): boolean => /^\d{4}-\d\d-\d\d$/.test(day ?? "") && !Number.isNaN(Date.parse(day ?? ""));
  return { ...filter, ...(from && isDay(from) ? { from } : {}), ...(to && isDay(to) ? { to } : {}) };
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

function useColumns(filter: AuditFilter): Column<Row>[] {
  const t = useTexts("auditLog");
  return [
    { key: "when", title: t.when, width: "7.5rem", cell: (row) => <Time at={row.at} /> },
    {
      key: "who",
      title: t.who,
      width: "minmax(4.5rem, 1fr)",
      cell: (row) => (
        <>
          <Link to="/audit-log" search={{ ...filter, actor: row.actor }} title={t.onlyActor(actorOf(t, row))} className="block truncate hover:underline">
            {actorOf(t, row)}
          </Link>
          <span className="block truncate text-xs text-dim">{t.actors[row.actor.split(":")[0] ?? ""] ?? row.actor}</span>
        </>
      ),
    },
    { key: "what", title: t.what, width: "minmax(9rem, 4fr)", cell: (row) => <What row={row} /> },
    { key: "seal", title: t.seal, width: "6.5rem", isWide: true, isRight: true, cell: (row) => (row.seq === null ? <span className="text-xs text-dim">{t.unsealed}</span> : <span title={`${t.hash} ${row.hash ?? ""}`}>#{row.seq}</span>) },
  ];
}

function actorOf(t: Sections["auditLog"], row: Row): string {
  return t.actors[row.actor] ?? (row.actor_name || row.actor);
}

/** What was done, and to what; the operation's name in the API is its title. */
function What({ row }: { row: Row }) {
  const t = useTexts("auditLog");
  const { before, subject, after } = sentenceOf(t, row);
  const link = linkOf(row);
  const fields = fieldsOf(t, row);
  return (
    <>
      <span className="block truncate" title={row.action}>
        {before}
        {link ? (
          <Link {...link} className="font-medium text-accent hover:underline">
            {subject}
          </Link>
        ) : (
          <span className="font-medium">{subject}</span>
        )}
        {after}
      </span>
      {fields && (
        <span className="block truncate text-xs text-dim" title={fields}>
          {fields}
        </span>
      )}
    </>
  );
}
