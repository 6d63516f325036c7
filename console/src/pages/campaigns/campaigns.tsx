import { useNavigate, useSearch } from "@tanstack/react-router";
import { Megaphone, Plus } from "lucide-react";
import { useMemo, useRef } from "react";
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useList } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { ButtonLink } from "@/ui/button";
import { Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { Table } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { ProgressBar, StatusBadge } from "./parts";

const SHOWN = [undefined, "draft", "running", "paused", "completed"] as const;

export function Campaigns() {
  const t = useTexts("campaigns");
  const search = useSearch({ from: "/shell/campaigns" });
  const navigate = useNavigate();
  const canWrite = useCan("campaigns:write");
  const query = useList(
    ["campaigns", "list", search],
    (cursor, signal) => data(api.GET("/api/sms/campaigns", { params: { query: { ...search, limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.campaigns,
  );
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/campaigns/$id", params: { id: row.id } }), 52);
  useCommands(useMemo<Command[]>(() => (canWrite ? [{ id: "campaigns new", label: t.create, keys: "c", group: t.title, run: () => void navigate({ to: "/campaigns/new" }) }] : []), [t, navigate, canWrite]));
  const create = canWrite && (
    <ButtonLink look="primary" icon={Plus} to="/campaigns/new">
      {t.create}
    </ButtonLink>
  );
  return (
    <Page title={t.title} actions={create} isFlush>
      <Tabs label={t.status} tabs={SHOWN.map((status) => ({ label: status ? t.statuses[status] : t.all, link: { to: "/campaigns", search: status ? { status } : {} }, isActive: search.status === status }))} />
      <div ref={around} className="flex min-h-0 flex-1 flex-col">
        <Table
          label={t.title}
          query={query}
          isChosen={keys.isChosen}
          rowPx={52}
          link={(row) => ({ to: "/campaigns/$id", params: { id: row.id } })}
          columns={[
            { key: "name", title: t.name, width: "minmax(9rem, 2fr)", cell: (row) => row.name },
            { key: "status", title: t.status, width: "7.5rem", cell: (row) => <StatusBadge status={row.status} /> },
            { key: "progress", title: t.progress, width: "minmax(8rem, 1.2fr)", isWide: true, cell: (row) => (row.status === "draft" ? <span className="text-dim">–</span> : <ProgressBar counts={row.counts} />) },
            { key: "total", title: t.recipients, width: "6rem", isRight: true, isWide: true, cell: (row) => count(row.counts.total) },
            { key: "failed", title: t.failed, width: "5rem", isRight: true, isWide: true, cell: (row) => <span className={row.counts.failed > 0 ? "text-bad" : "text-dim"}>{count(row.counts.failed)}</span> },
            { key: "when", title: t.when, width: "8.5rem", isRight: true, isWide: true, cell: (row) => <Time at={row.started_at ?? row.scheduled_start_at ?? row.created_at} /> },
          ]}
          empty={
            search.status ? (
              <p className="px-4 py-10 text-center text-dim">{t.noneMatch}</p>
            ) : (
              <Empty icon={Megaphone} title={t.empty} action={create}>
                {t.emptyLead}
              </Empty>
            )
          }
        />
      </div>
    </Page>
  );
}
