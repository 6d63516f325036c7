/** All calls, newest first, as they come in. */
import { Link, type LinkProps, useNavigate } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { ArrowDownLeft, ArrowUpRight, Ban, CalendarClock, PhoneCall, PhoneMissed, PhoneOutgoing, Voicemail } from "lucide-react";
import { Suspense, useCallback, useMemo, useRef, useState } from "react";
import { useFlowName } from "@/api/flows";
import { type News, useNews } from "@/api/live";
import { useCan } from "@/api/me";
import { patchRows } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { otherParty, UNTAKEN } from "@/lib/party";
import { Button, ButtonLink } from "@/ui/button";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { part } from "@/ui/part";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { Filters } from "./filters";
import { Duration, StatusBadge, usePartyName } from "./labels";
import { type Call, listKey, useCalls } from "./queries";
import { callsRoute } from "./route";
import { type ListSearch, withoutPlace } from "./search";
import { isE164, phone } from "@/lib/format";

const PlaceCall = part(() => import("./place-call"));

export function Calls() {
  const t = useTexts("calls");
  const search = callsRoute.useSearch();
  const navigate = useNavigate();
  const query = useCalls(search);
  const around = useRef<HTMLDivElement>(null);
  const [isPlacing, setPlacing] = useState(search.place !== undefined);
  const arrivals = useArrivals(search, around);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/calls/$id", params: { id: row.id } }));
  useListCommands(setPlacing);
  const columns = useColumns();
  const closePlace = (): void => {
    setPlacing(false);
    if (search.place !== undefined) void navigate({ to: "/calls", search: withoutPlace(search), replace: true });
  };
  const isFiltered = Object.keys(search).some((name) => name !== "place");
  return (
    <Page
      title={t.title}
      isFlush
      actions={
        <>
          <ButtonLink look="quiet" icon={CalendarClock} to="/calls/scheduled">
            <span className="max-md:sr-only">{t.scheduled}</span>
          </ButtonLink>
          <ButtonLink look="quiet" icon={Ban} to="/calls/blocked">
            <span className="max-md:sr-only">{t.blocked}</span>
          </ButtonLink>
          <Button look="primary" icon={PhoneOutgoing} needs="calls:write" onClick={() => setPlacing(true)}>
            {t.place}
          </Button>
        </>
      }
    >
      <Filters search={search} />
      <div ref={around} className="relative flex min-h-0 flex-1 flex-col" onPointerEnter={() => arrivals.setHovered(true)} onPointerLeave={() => arrivals.setHovered(false)}>
        <NewRows count={arrivals.count} onShow={arrivals.show} />
        <Table
          label={t.title}
          query={query}
          columns={columns}
          link={toCall}
          isChosen={keys.isChosen}
          empty={isFiltered ? <NothingFound /> : <NoCalls onPlace={() => setPlacing(true)} />}
        />
      </div>
      {isPlacing && (
        <Suspense>
          <PlaceCall to={search.place ?? ""} onClose={closePlace} />
        </Suspense>
      )}
    </Page>
  );
}

function NewRows({ count, onShow }: { count: number; onShow: () => void }) {
  const t = useTexts("calls");
  return (
    <div aria-live="polite" className="pointer-events-none absolute inset-x-0 top-11 z-20 flex justify-center">
      {count > 0 && (
        <button type="button" onClick={onShow} className="pointer-events-auto animate-[hum-rise_0.18s_ease-out] rounded-full bg-accent px-3 py-1 text-[13px] font-medium text-on-accent shadow-float hover:bg-accent-strong">
          {t.newCalls(count)}
        </button>
      )}
    </div>
  );
}

/** Calls that begin: shown at once at the top of the list, announced to who reads further down or points at a row. */
function useArrivals(search: ListSearch, around: React.RefObject<HTMLElement | null>) {
  const client = useQueryClient();
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const isHovered = useRef(false);
  const key = useMemo(() => listKey(search), [search]);
  const [counted, setCounted] = useState(key);
  if (counted !== key) {
    setCounted(key); // other filters: their list is asked anew
    setFresh(new Set());
  }
  const show = useCallback(() => {
    setFresh(new Set());
    const list = around.current?.querySelector("[role=region]");
    if (list) list.scrollTop = 0;
    void client.resetQueries({ queryKey: key, exact: true });
  }, [client, key, around]);
  const told = useCallback(
    (news: News) => {
      const call = news as unknown as Call;
      if (news.type === "call.updated") patchRows<Call>(["calls", "list"], call.id, () => call);
      if (news.type === "resource.deleted" && news["kind"] === "call") void client.invalidateQueries({ queryKey: key, exact: true });
      if (news.type !== "call.created") return;
      const isAtTop = (around.current?.querySelector("[role=region]")?.scrollTop ?? 0) < 8;
      // Only the server knows whether a call is found by these filters.
      if (isAtTop && !isHovered.current) void client.invalidateQueries({ queryKey: key, exact: true });
      else setFresh((ids) => (ids.has(call.id) ? ids : new Set(ids).add(call.id)));
    },
    [client, key, around],
  );
  useNews(told);
  const setHovered = (is: boolean): void => {
    isHovered.current = is;
  };
  return { count: fresh.size, show, setHovered };
}

function useListCommands(setPlacing: (is: boolean) => void): void {
  const t = useTexts("calls");
  const mayWrite = useCan("calls:write");
  const navigate = useNavigate();
  const list = useMemo<Command[]>(
    () => [
      ...(mayWrite ? [{ id: "place call", label: t.place, keys: "c", run: () => setPlacing(true) }] : []),
      { id: "search calls", label: t.searchCalls, keys: "/", run: () => document.getElementById("calls-q")?.focus() },
      { id: "clear filters", label: t.clearFilters, run: () => void navigate({ to: "/calls", search: {} }) },
    ],
    [t, mayWrite, navigate, setPlacing],
  );
  useCommands(list);
}

const toCall = (row: Call): LinkProps => ({ to: "/calls/$id", params: { id: row.id } });

/** The same ones from page to page: rows that are there are not made anew when more come. */
function useColumns(): readonly Column<Call>[] {
  const t = useTexts("calls");
  const flowName = useFlowName();
  const partyName = usePartyName();
  return useMemo(
    () => [
      { key: "party", title: t.party, width: "minmax(7rem, 2.8fr)", cell: (call) => <Party call={call} name={partyName(call)} /> },
      { key: "agent", title: t.agent, width: "minmax(6rem, 1.1fr)", isWide: true, cell: (call) => <span className="text-dim">{flowName(call.flow_id) ?? "–"}</span> },
      { key: "status", title: t.status, width: "minmax(5.5rem, 7.5rem)", isWide: true, cell: (call) => <StatusBadge status={call.status} /> },
      { key: "outcome", title: t.outcome, width: "minmax(5rem, 0.9fr)", isWide: true, cell: (call) => <Outcome call={call} /> },
      { key: "summary", title: t.summary, width: "minmax(6rem, 2.4fr)", isWide: true, cell: (call) => <span className="text-dim">{call.summary_text}</span> },
      { key: "tags", title: t.tags, width: "minmax(6.25rem, 0.9fr)", isWide: true, cell: (call) => <Tags tags={call.tags} /> },
      { key: "length", title: t.length, width: "4.2rem", isRight: true, isWide: true, cell: (call) => <Duration call={call} /> },
      { key: "when", title: t.when, width: "minmax(7.75rem, 8.5rem)", narrowWidth: "6.75rem", isRight: true, cell: (call) => <Time at={call.created_at} /> },
    ],
    [t, flowName, partyName],
  );
}

function Party({ call, name }: { call: Call; name: string }) {
  const t = useTexts("calls");
  const isOut = call.direction === "outbound";
  const Arrow = isOut ? ArrowUpRight : ArrowDownLeft;
  const number = otherParty(call);
  return (
    <>
      <span className="flex min-w-0 items-center gap-2">
        <Arrow size={15} className={`shrink-0 ${isOut ? "text-agent" : "text-caller"}`} aria-label={isOut ? t.outbound : t.inbound} />
        <span className="truncate" title={name}>
          {name}
        </span>
        {call.tags.includes(UNTAKEN) && <PhoneMissed size={15} className="shrink-0 text-bad" aria-label={t.untaken} />}
        {call.has_voicemail && <Voicemail size={15} className="shrink-0 text-dim" aria-label={t.leftMessage} />}
        {call.contact?.name && isE164(number) && <span className="min-w-0 shrink-[9999] truncate font-normal text-dim max-xl:hidden">{phone(number)}</span>}
      </span>
      <span className="flex min-w-0 items-center gap-1.5 pl-[23px] text-xs font-normal text-dim md:hidden">
        <NarrowOutcome call={call} />
        {call.summary_text && <span className="truncate">· {call.summary_text}</span>}
      </span>
    </>
  );
}

/** On a phone's screen, under the name: what became of the call, else its status. */
function NarrowOutcome({ call }: { call: Call }) {
  const isTold = call.tags.includes(UNTAKEN) || call.outcome_label;
  return <span className="shrink-0">{isTold ? <Outcome call={call} /> : <StatusBadge status={call.status} />}</span>;
}

/** What became of a call: that nobody took its transfer stands before what the agent says of it. */
function Outcome({ call }: { call: Call }) {
  const t = useTexts("calls");
  if (call.tags.includes(UNTAKEN)) return <Badge tone="bad">{t.untaken}</Badge>;
  return call.outcome_label ?? <span className="text-dim">–</span>;
}

function Tags({ tags }: { tags: readonly string[] }) {
  const [first, ...rest] = tags;
  if (!first) return null;
  return (
    <span className="flex min-w-0 items-center gap-1" title={tags.join(", ")}>
      <span className="flex max-w-32 min-w-0">
        <Badge>{first}</Badge>
      </span>
      {rest.length > 0 && <span className="text-xs text-dim">+{rest.length}</span>}
    </span>
  );
}

function NothingFound() {
  const t = useTexts("calls");
  return (
    <Empty
      icon={PhoneCall}
      title={t.nothingFound}
      action={
        <Link to="/calls" search={{}} className="font-medium text-accent underline">
          {t.clearFilters}
        </Link>
      }
    >
      {t.nothingFoundLead}
    </Empty>
  );
}

function NoCalls({ onPlace }: { onPlace: () => void }) {
  const t = useTexts("calls");
  return (
    <Empty
      icon={PhoneCall}
      title={t.empty}
      action={
        <>
          <ButtonLink look="primary" to={"/numbers" as "/"}>
            {t.emptyNumbers}
          </ButtonLink>
          <Button needs="calls:write" onClick={onPlace}>
            {t.place}
          </Button>
        </>
      }
    >
      {t.emptyLead}
    </Empty>
  );
}
