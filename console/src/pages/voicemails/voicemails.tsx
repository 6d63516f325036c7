/** Messages that callers left: the list, and the one that is open beside it. */
import { useNavigate } from "@tanstack/react-router";
import { Voicemail as VoicemailIcon } from "lucide-react";
import { useRef } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { clockTime, isE164, phone } from "@/lib/format";
import { ButtonLink } from "@/ui/button";
import { Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { VoicemailPanel } from "./panel";
import { type VoicemailSearch, voicemailsRoute } from "./route";

export type Voicemail = Schemas["Voicemail"];
const ROW_PX = 56;

export function Voicemails() {
  const t = useTexts("voicemails");
  const search = voicemailsRoute.useSearch();
  const navigate = useNavigate();
  const query = useVoicemails(search.show);
  const around = useRef<HTMLDivElement>(null);
  const open = (id: string | undefined): void => void navigate({ to: "/voicemails", search: (old: VoicemailSearch) => (id ? { ...old, id } : old.show ? { show: old.show } : {}), replace: Boolean(search.id && id), resetScroll: false });
  const keys = useRowKeys(query.rows, query.offset, around, (row) => open(row.id), ROW_PX);
  const columns = useColumns();
  return (
    <Page title={t.title} isFlush>
      <Tabs
        label={t.show}
        tabs={([undefined, "unheard", "heard"] as const).map((show) => ({ label: t.shows[show ?? "all"], isActive: search.show === show, link: { to: "/voicemails", search: show ? { show } : {} } }))}
      />
      <div className="flex min-h-0 flex-1">
        <div ref={around} className={`flex min-h-0 min-w-0 flex-1 flex-col ${search.id ? "max-md:hidden" : ""}`}>
          <Table
            label={t.title}
            query={query}
            columns={columns}
            rowPx={ROW_PX}
            isChosen={(row) => row.id === search.id || keys.isChosen(row)}
            link={(row) => ({ to: "/voicemails", search: { ...(search.show ? { show: search.show } : {}), id: row.id }, resetScroll: false })}
            empty={
              search.show ? (
                <Empty icon={VoicemailIcon} title={search.show === "unheard" ? t.allHeard : t.noneHeard} />
              ) : (
                <Empty icon={VoicemailIcon} title={t.empty} action={<ButtonLink to={"/agents" as "/"}>{t.emptyAction}</ButtonLink>}>
                  {t.emptyLead}
                </Empty>
              )
            }
          />
        </div>
        {search.id && <VoicemailPanel key={search.id} id={search.id} onClose={() => open(undefined)} />}
      </div>
    </Page>
  );
}

export function useVoicemails(show: VoicemailSearch["show"]) {
  const query = { limit: 50, ...(show ? { heard: show === "heard" } : {}) };
  return useList(
    ["voicemails", "list", show ?? "all"],
    (cursor, signal) => data(api.GET("/api/voicemails", { params: { query: cursor ? { ...query, cursor } : query }, signal })),
    (page) => page.voicemails,
  );
}

export function callerOf(voicemail: Pick<Voicemail, "contact_name" | "from">, withheld: string): string {
  return voicemail.contact_name ?? (isE164(voicemail.from) ? phone(voicemail.from) : withheld);
}

function useColumns(): readonly Column<Voicemail>[] {
  const t = useTexts("voicemails");
  return [
    {
      key: "from",
      title: t.from,
      width: "minmax(8rem, 1fr)",
      cell: (row) => (
        <span className="flex min-w-0 items-center gap-2.5">
          <span className={`size-2 shrink-0 rounded-full ${row.heard ? "bg-transparent" : "bg-accent"}`} role="img" aria-label={row.heard ? t.heard : t.unheard} />
          <span className={`truncate ${row.heard ? "font-normal" : "font-semibold"}`}>{callerOf(row, t.withheld)}</span>
        </span>
      ),
    },
    { key: "text", title: t.message, width: "minmax(8rem, 2.4fr)", isWide: true, cell: (row) => <span className="text-dim">{row.transcript === null ? t.beingWritten : row.transcript || t.noWords}</span> },
    { key: "length", title: t.length, width: "4rem", isRight: true, cell: (row) => clockTime(row.duration_ms / 1000) },
    { key: "when", title: t.when, width: "minmax(4.5rem, 8.5rem)", isRight: true, cell: (row) => <Time at={row.created_at} /> },
  ];
}
