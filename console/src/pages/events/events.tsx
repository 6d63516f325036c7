/** What happened in the organization, in order, as webhooks and agents get it. */
import { Link, useNavigate } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, data } from "@/api/client";
import { useNews } from "@/api/live";
import { queryClient, useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { KINDS } from "@/lib/event-types";
import { Aside } from "@/ui/aside";
import { Button, ButtonLink } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { useHeld } from "@/ui/held";
import { Json } from "@/ui/json";
import { Empty, Facts, Page, Skeleton, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { type Event, placesOf, typesOf, wordsOf } from "./filter";
import { type EventSearch, eventsRoute } from "./route";

export function Events() {
  const t = useTexts("events");
  const search = eventsRoute.useSearch();
  const navigate = useNavigate();
  const query = useEvents(search);
  useFreshEvents();
  const around = useRef<HTMLDivElement>(null);
  const [isOver, setOver] = useState(false);
  const { rows, waiting, release } = useHeld(query.rows, isOver, `${search.type ?? ""} ${search.order ?? ""}`);
  const { type, order } = search;
  const searchOf = useCallback((id: string | undefined): EventSearch => ({ ...(type ? { type } : {}), ...(order ? { order } : {}), ...(id ? { id } : {}) }), [type, order]);
  const open = useCallback((id: string | undefined): void => void navigate({ to: "/events", search: searchOf(id), resetScroll: false }), [navigate, searchOf]);
  const keys = useRowKeys(rows, query.offset, around, (row) => open(row.id));
  const columns = useColumns();
  const chosen = rows.find((each) => each.id === search.id);
  return (
    <Page title={t.title} lead={t.lead} guide="/guides/events" isFlush>
      <div role="search" aria-label={t.filters} className="flex flex-wrap items-center gap-2 px-6 pb-3 max-md:px-4">
        <TypePicker search={search} />
        <select aria-label={t.order} value={order ?? ""} className={`${CONTROL} border-line bg-surface`} onChange={(event) => void navigate({ to: "/events", search: { ...(type ? { type } : {}), ...(event.target.value ? { order: "oldest" } : {}) } })}>
          <option value="">{t.newestFirst}</option>
          <option value="oldest">{t.oldestFirst}</option>
        </select>
        {waiting > 0 && (
          <Button size="sm" onClick={release}>
            {t.newOnes(waiting)}
          </Button>
        )}
      </div>
      <div className="flex min-h-0 flex-1">
        <div ref={around} onPointerEnter={() => setOver(true)} onPointerLeave={() => setOver(false)} className={`flex min-h-0 min-w-0 flex-1 flex-col ${search.id ? "max-md:hidden" : ""}`}>
          <Table
            label={t.title}
            query={{ ...query, rows }}
            columns={columns}
            isChosen={(row) => row.id === search.id || keys.isChosen(row)}
            link={(row) => ({ to: "/events", search: searchOf(row.id), resetScroll: false })}
            empty={
              type ? (
                <Empty icon={Activity} title={t.noneOfType} />
              ) : (
                <Empty icon={Activity} title={t.emptyTitle} action={<ButtonLink to="/webhooks">{t.toWebhooks}</ButtonLink>}>
                  {t.emptyLead}
                </Empty>
              )
            }
          />
        </div>
        {search.id && (
          <Aside key={search.id} title={<span className="font-mono text-[13px]">{chosen?.type ?? search.id}</span>} label={t.event} onClose={() => open(undefined)}>
            {chosen ? <Whole event={chosen} /> : query.isPending ? <Skeleton lines={6} /> : <p className="text-dim">{t.notInList}</p>}
          </Aside>
        )}
      </div>
    </Page>
  );
}

const CONTROL = "h-8 max-w-64 rounded-control border px-2 pr-6 text-[13px] max-md:h-11 max-md:text-base";

function useEvents({ type, order }: EventSearch) {
  const types = typesOf(type);
  const query = { limit: 100, ...(types.length > 0 ? { type: types } : {}), ...(order === "oldest" ? {} : { newest_first: true }) };
  return useList(
    ["events", type ?? "all", order ?? "newest"],
    async (after, signal) => {
      const found = await data(api.GET("/api/events", { params: { query: { ...query, ...(after ? { after } : {}) } }, signal }));
      return { ...found, next_cursor: found.has_more ? (found.events.at(-1)?.id ?? null) : null };
    },
    (page) => page.events,
  );
}

const GATHER_MS = 1500;
/** A list that is scrolled further is left as it is. */
const MOST_PAGES = 2;

/** Whatever the stream tells is an event, or soon followed by one. */
function useFreshEvents(): void {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useNews(
    useCallback(() => {
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        void queryClient.invalidateQueries({ queryKey: ["events"], predicate: (query) => ((query.state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 0) <= MOST_PAGES });
      }, GATHER_MS);
    }, []),
  );
}

function TypePicker({ search: { type, order } }: { search: EventSearch }) {
  const t = useTexts("events");
  const navigate = useNavigate();
  const isKnown = !type || KINDS.some((each) => each.kind === type || each.types.some((one) => one === type));
  return (
    <select
      aria-label={t.type}
      value={type ?? ""}
      className={`${CONTROL} ${type ? "border-accent bg-accent-soft" : "border-line bg-surface"}`}
      onChange={(event) => void navigate({ to: "/events", search: { ...(event.target.value ? { type: event.target.value } : {}), ...(order ? { order } : {}) } })}
    >
      <option value="">{t.anyType}</option>
      {!isKnown && <option value={type}>{type}</option>}
      {KINDS.map((each) => (
        <optgroup key={each.kind} label={each.kind}>
          {each.types.length > 1 && <option value={each.kind}>{`${each.kind}.*`}</option>}
          {each.types.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </optgroup>
      ))}
    </select>
  );
}

function useColumns(): readonly Column<Event>[] {
  const t = useTexts("events");
  return [
    { key: "type", title: t.type, width: "minmax(10rem, 1fr)", cell: (row) => <span className="font-mono text-[13px]">{row.type}</span> },
    { key: "data", title: t.data, width: "minmax(8rem, 2.4fr)", isWide: true, cell: (row) => <span className="text-dim">{wordsOf(row.data)}</span> },
    { key: "when", title: t.when, width: "9.5rem", isRight: true, cell: (row) => <Time at={row.created_at} isExact /> },
  ];
}

function Whole({ event }: { event: Event }) {
  const t = useTexts("events");
  const places = placesOf(event.data);
  return (
    <div className="space-y-5">
      <Facts
        items={[
          [t.when, <Time key="w" at={event.created_at} />],
          [t.version, event.version],
          ["ID", <Copy key="i" value={event.id} />],
        ]}
      />
      {places.length > 0 && (
        <ul className="flex flex-wrap gap-x-4 gap-y-1">
          {places.map((each) => (
            <li key={each.place}>
              <Link {...each.link} className="text-accent hover:underline">
                {t.places[each.place]}
              </Link>
            </li>
          ))}
        </ul>
      )}
      <section>
        <h3 className="mb-1.5 text-[13px]">{t.data}</h3>
        <Json value={event.data} label={t.data} />
      </section>
    </div>
  );
}
