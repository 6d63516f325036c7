import { Link, useParams, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { AlarmClock, ArrowUp, Ban, BotOff, Megaphone, PencilLine, Reply } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { type Command, useCommands } from "@/app/commands";
import { ownKey, useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { phone, shortTime } from "@/lib/format";
import { useHeld } from "@/ui/held";
import { Failure, Skeleton } from "@/ui/layout";
import { useNow } from "@/ui/now";
import { useDrafted } from "./drafts";
import { Elsewhere } from "./elsewhere";
import { nameOf } from "./names";
import { type Conversation, useConversations, useMembers } from "./queries";

const ROW_PX = 76;
const AT_TOP_PX = 8;

/** The threads; none moves while the pointer is over them. */
export function Conversations({ empty }: { empty: ReactNode }) {
  const t = useTexts("inbox");
  const search = useSearch({ from: "/shell/inbox" });
  const query = useConversations(search);
  const [isHeld, setHeld] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const scope = JSON.stringify(search);
  const { rows, waiting, release } = useHeld(query.rows, isHeld, scope);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const rowsInView = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 8 });
  const items = rowsInView.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && lastShown >= rows.length - 15) void fetchNextPage();
  }, [lastShown, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage]);
  useRowKeys(scroller);

  if (query.error && rows.length === 0) return <div className="p-4"><Failure error={query.error} onRetry={() => void query.refetch()} /></div>;
  if (query.isPending) return <div className="p-4"><Skeleton lines={12} height="h-5" /></div>;
  if (rows.length === 0) return <Elsewhere search={search}>{scope === "{}" ? empty : <p className="px-4 py-10 text-center text-dim">{t.noneMatch}</p>}</Elsewhere>;
  const isScrolled = (): boolean => (scroller.current?.scrollTop ?? 0) > AT_TOP_PX;
  return (
    <div className="relative min-h-0 flex-1">
      {waiting > 0 && (
        <button
          type="button"
          className="absolute top-2 left-1/2 z-10 flex -translate-x-1/2 items-center gap-1.5 rounded-full bg-accent px-3 py-1 text-[13px] font-medium text-on-accent shadow-float hover:bg-accent-strong"
          onClick={() => {
            release();
            scroller.current?.scrollTo({ top: 0 });
          }}
        >
          <ArrowUp size={14} aria-hidden />
          {t.moreNew(waiting)}
        </button>
      )}
      <div
        ref={scroller}
        role="region"
        aria-label={t.conversations}
        tabIndex={0}
        data-quiet-focus
        className="h-full overflow-auto"
        onPointerEnter={() => setHeld(true)}
        onPointerLeave={() => setHeld(isScrolled())}
        onScroll={() => isScrolled() && setHeld(true)}
      >
        <ul className="relative" style={{ height: rowsInView.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index];
            return row && <Row key={row.id} row={row} top={item.start} />;
          })}
        </ul>
      </div>
    </div>
  );
}

/** `j` and `k` move the focus between the threads; Enter is the link's own. */
function useRowKeys(scroller: React.RefObject<HTMLDivElement | null>): void {
  const t = useTexts("inbox");
  useCommands(
    useMemo<Command[]>(() => {
      const move = (by: number) => (): void => {
        const links = [...(scroller.current?.querySelectorAll<HTMLAnchorElement>("a[data-row]") ?? [])];
        const focused = links.findIndex((each) => each === document.activeElement);
        const open = links.findIndex((each) => each.getAttribute("aria-current") === "page");
        const from = focused >= 0 ? focused : open;
        links[from < 0 ? 0 : Math.max(0, Math.min(links.length - 1, from + by))]?.focus();
      };
      return [
        { id: "inbox next", label: t.next, keys: "j", group: t.title, run: move(1) },
        { id: "inbox previous", label: t.previous, keys: "k", group: t.title, run: move(-1) },
      ];
    }, [t, scroller]),
  );
}

function Row({ row, top }: { row: Conversation; top: number }) {
  const search = useSearch({ from: "/shell/inbox" });
  const { id } = useParams({ strict: false });
  const zone = useZone();
  const isUnread = row.unread_count > 0;
  const isOpen = row.id === id;
  return (
    <li className="absolute inset-x-0" style={{ height: ROW_PX, transform: `translateY(${top}px)` }}>
      <Link
        to="/inbox/$id"
        params={{ id: row.id }}
        search={search}
        data-row
        aria-current={isOpen ? "page" : undefined}
        className={`relative flex h-full flex-col justify-center gap-0.5 border-b border-line pr-4 pl-6 outline-offset-[-2px] ${isOpen ? "bg-accent-soft" : "hover:bg-hover"}`}
      >
        {isUnread && <span aria-hidden className="absolute left-2.5 size-2 rounded-full bg-accent" />}
        <span className="flex items-baseline gap-2">
          <span className={`min-w-0 flex-1 truncate ${isUnread ? "font-semibold" : "font-medium"}`}>{nameOf(row)}</span>
          {row.last_message_at && (
            <time dateTime={row.last_message_at} className="tabular shrink-0 text-xs text-dim">
              {shortTime(row.last_message_at, zone)}
            </time>
          )}
        </span>
        <Preview row={row} />
        <Marks row={row} />
      </Link>
    </li>
  );
}

function Preview({ row }: { row: Conversation }) {
  const t = useTexts("inbox");
  return (
    <span className={`flex items-center gap-1 text-[13px] ${row.unread_count > 0 ? "text-ink" : "text-dim"}`}>
      {row.last_message_direction === "outbound" && <Reply size={13} aria-label={t.ours} className="shrink-0" />}
      <span className="min-w-0 flex-1 truncate">{row.last_message_preview || (row.last_message_at ? t.media : t.noMessages)}</span>
    </span>
  );
}

/** What else is to be known of a thread, in one line of its own height. */
function Marks({ row }: { row: Conversation }) {
  const t = useTexts("inbox");
  const me = useMe();
  const zone = useZone();
  const members = useMembers();
  const drafted = useDrafted(ownKey(me, ""));
  const assignee = members.data?.members.find((each) => each.user_id === row.assignee_id);
  const now = useNow();
  const isSnoozed = row.snoozed_until !== null && Date.parse(row.snoozed_until) > now;
  return (
    <span className="flex h-4 items-center gap-2 overflow-hidden text-xs whitespace-nowrap text-dim">
      {row.unread_count > 0 && <span className="font-medium text-accent">{t.unreadMessages(row.unread_count)}</span>}
      {drafted.has(row.id) && <Mark icon={PencilLine} tone="text-warn" text={t.draft} />}
      {row.opted_out && <Mark icon={Ban} tone="text-bad" text={t.optedOut} />}
      {isSnoozed && row.snoozed_until && <Mark icon={AlarmClock} text={t.until(shortTime(row.snoozed_until, zone))} />}
      {row.status === "closed" && <span>{t.closed}</span>}
      {row.campaign_only && <Mark icon={Megaphone} text={t.campaign} />}
      {row.ai_paused && row.status === "open" && !row.opted_out && <Mark icon={BotOff} text={t.aiPausedShort} />}
      <span className="min-w-0 flex-1 truncate text-right">
        {assignee ? (assignee.user_id === me.user?.id ? t.you : (assignee.name ?? assignee.email)) : row.contact?.name ? phone(row.contact_e164) : ""}
      </span>
    </span>
  );
}

function Mark({ icon: Icon, text, tone = "" }: { icon: typeof Ban; text: string; tone?: string }) {
  return (
    <span className={`flex shrink-0 items-center gap-1 ${tone}`}>
      <Icon size={12} aria-hidden />
      {text}
    </span>
  );
}
