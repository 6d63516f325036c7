import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, Plus, Upload, Users, X } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { type Schemas, api, data } from "@/api/client";
import { can, useMe } from "@/api/me";
import { useList } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { SearchField } from "@/ui/search-field";
import { type Column, Table } from "@/ui/table";
import { CreateContact } from "./create";
import { TagBar, Tick, useTicks } from "./tagging";

const DIALECTS = ["spreadsheet", "plain", "json_lines"] as const;

/** Tags that are offered while one types. */
const MOST_OFFERED = 50;

type ContactRow = Schemas["Contact"];

export function Contacts() {
  const t = useTexts("contacts");
  const me = useMe();
  const search = useSearch({ from: "/shell/contacts" });
  const navigate = useNavigate();
  const [panel, setPanel] = useState<"create" | "export" | null>(null);
  const query = useList(
    ["contacts", "list", search],
    (cursor, signal) => data(api.GET("/api/contacts", { params: { query: { ...search, limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.contacts,
  );
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/contacts/$id", params: { id: row.id } }));
  useCommands(
    useMemo<Command[]>(
      () => [
        { id: "contacts new", label: t.create, keys: "c", group: t.title, run: () => setPanel("create") },
        { id: "contacts search", label: t.search, keys: "/", group: t.title, run: () => document.querySelector<HTMLInputElement>("#contacts-search")?.focus() },
        { id: "contacts import", label: t.importTitle, group: t.title, run: () => void navigate({ to: "/contacts/import" }) },
      ],
      [t, navigate],
    ),
  );
  const ticks = useTicks(search);
  const areAllTicked = query.rows.length > 0 && query.rows.every((row) => ticks.has(row.id));
  const tickColumn: Column<ContactRow> = {
    key: "tick",
    title: "",
    width: "1.5rem",
    isControl: true,
    head: <Tick label={t.tickShown} isOn={areAllTicked} onTurn={() => ticks.set(areAllTicked ? [] : query.rows.map((row) => row.id))} />,
    cell: (row) => <Tick label={t.tick(row.name ?? row.caller_name ?? phone(row.phone_e164))} isOn={ticks.has(row.id)} onTurn={() => ticks.turn(row.id)} />,
  };
  const isFiltered = Boolean(search.q || search.tag);
  const actions = (
    <>
      <Button icon={Download} off={me.role === "viewer" ? t.exportNeeds : me.limited ? t.exportAll : null} onClick={() => setPanel("export")}>
        {t.export}
      </Button>
      <ButtonLink icon={Upload} to="/contacts/import">
        {t.import}
      </ButtonLink>
      <Button look="primary" icon={Plus} needs="contacts:write" onClick={() => setPanel("create")}>
        {t.create}
      </Button>
    </>
  );
  return (
    <Page title={t.title} actions={actions} isFlush>
      <div className="flex items-center gap-2 px-6 pb-3 max-md:px-4">
        <div className="flex w-full max-w-sm">
          <SearchField id="contacts-search" label={t.search} placeholder={t.searchPlaceholder} value={search.q ?? ""} onChange={(q) => void navigate({ to: "/contacts", search: { ...(q ? { q } : {}), ...(search.tag ? { tag: search.tag } : {}) }, replace: true })} />
        </div>
        {search.tag && (
          <Button size="sm" icon={X} onClick={() => void navigate({ to: "/contacts", search: search.q ? { q: search.q } : {} })}>
            {t.withTag(search.tag)}
          </Button>
        )}
      </div>
      <TagBar ticks={ticks} search={search} tags={[...new Set(query.rows.flatMap((row) => row.tags))].slice(0, MOST_OFFERED)} isMore={query.hasNextPage} />
      <div ref={around} className="flex min-h-0 flex-1 flex-col">
        <Table
          label={t.title}
          query={query}
          isChosen={keys.isChosen}
          link={(row) => ({ to: "/contacts/$id", params: { id: row.id } })}
          columns={[
            ...(can(me, "contacts:write") ? [tickColumn] : []),
            { key: "name", title: t.name, width: "minmax(9rem, 1.4fr)", cell: (row) => row.name ?? row.caller_name ?? <span className="tabular">{phone(row.phone_e164)}</span> },
            { key: "phone", title: t.phone, width: "minmax(9.5rem, 1fr)", cell: (row) => <span className="tabular">{phone(row.phone_e164)}</span> },
            { key: "company", title: t.company, width: "minmax(8rem, 1fr)", isWide: true, cell: (row) => row.company },
            { key: "email", title: t.email, width: "minmax(8rem, 1fr)", isWide: true, cell: (row) => row.email },
            { key: "tags", title: t.tags, width: "minmax(8rem, 1.2fr)", isWide: true, cell: (row) => <Tags tags={row.tags} /> },
            { key: "created", title: t.created, width: "8rem", isRight: true, isWide: true, cell: (row) => <Time at={row.created_at} /> },
          ]}
          empty={
            isFiltered ? (
              <p className="px-4 py-10 text-center text-dim">{t.noneMatch}</p>
            ) : (
              <Empty icon={Users} title={t.empty} action={<ButtonLink icon={Upload} to="/contacts/import">{t.import}</ButtonLink>}>
                {t.emptyLead}
              </Empty>
            )
          }
        />
      </div>
      {panel === "create" && <CreateContact onClose={() => setPanel(null)} />}
      <Dialog isOpen={panel === "export"} onClose={() => setPanel(null)} title={t.export} description={t.exportLead}>
        <ul className="-mx-3">
          {DIALECTS.map((each) => (
            <li key={each}>
              <a href={`/api/contacts/export?dialect=${each}`} download className="block rounded-control px-3 py-2 hover:bg-hover" onClick={() => setPanel(null)}>
                <span className="block font-medium">{t.dialects[each]}</span>
                <span className="block text-[13px] text-dim">{t.dialectHints[each]}</span>
              </a>
            </li>
          ))}
        </ul>
      </Dialog>
    </Page>
  );
}

/** Tags filter the list; above the row's own link. */
function Tags({ tags }: { tags: string[] }) {
  const navigate = useNavigate();
  return (
    <span className="relative z-[1] flex gap-1 overflow-hidden">
      {tags.slice(0, 3).map((tag) => (
        <button key={tag} type="button" onClick={() => void navigate({ to: "/contacts", search: { tag } })}>
          <Badge>{tag}</Badge>
        </button>
      ))}
      {tags.length > 3 && <span className="text-xs text-dim">+{tags.length - 3}</span>}
    </span>
  );
}
