import { Link, useParams, useSearch } from "@tanstack/react-router";
import { AlarmClock, ArrowLeft, Bot, BotOff, PanelRight, RotateCcw, UserRound, X } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type Command, useCommands } from "@/app/commands";
import { useCan, useMe, useZone } from "@/api/me";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { exactTime } from "@/lib/zoned";
import { Button, IconButton } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Failure, Skeleton } from "@/ui/layout";
import { useNow } from "@/ui/now";
import { toast } from "@/ui/toast";
import { AssignDialog, SnoozeDialog } from "./actions";
import { Composer } from "./composer";
import { HistoryView } from "./history-view";
import { nameOf } from "./names";
import { useTextingHours } from "./quiet-hours";
import { type Conversation, markRead, useClose, useConversation, useHistory, useMembers, usePatch } from "./queries";
import { Side } from "./side";

/** One thread. Its state is its own: another thread is another component. */
export function Thread() {
  const { id } = useParams({ from: "/shell/inbox/$id" });
  return <Opened key={id} id={id} />;
}

function Opened({ id }: { id: string }) {
  const t = useTexts("inbox");
  const query = useConversation(id);
  const history = useHistory(id);
  const conversation = query.data;
  const name = useMe().organization?.name;
  useEffect(() => {
    if (conversation) document.title = [nameOf(conversation), t.title, name, "HUM"].filter(Boolean).join(" · ");
  }, [conversation, t, name]);
  useReading(conversation);
  if (conversation) return <Shown conversation={conversation} history={history} />;
  const isGone = query.error && asApiError(query.error).status === 404;
  return (
    <div className="flex-1 p-4">
      <Back />
      {isGone && <p className="py-10 text-center text-dim">{t.noSuchThread}</p>}
      {query.error && !isGone && <Failure error={query.error} onRetry={() => void query.refetch()} />}
      {!query.error && <Skeleton lines={8} height="h-8" />}
    </div>
  );
}

function Shown({ conversation, history }: { conversation: Conversation; history: ReturnType<typeof useHistory> }) {
  const t = useTexts("inbox");
  const [isSideOpen, setSideOpen] = useState(false);
  const closeSide = useCallback(() => setSideOpen(false), []);
  const composer = useRef<HTMLTextAreaElement>(null);
  const scheduled = (history.data?.messages ?? []).filter((each) => each.status === "scheduled").length;
  const [panel, setPanel] = useState<Panel | null>(null);
  const { close, reopen } = useClose();
  const { id } = conversation;
  const doClose = (): void => {
    setPanel(null);
    close(id, () => toast.done(t.closedDone, { label: t.undo, run: () => reopen(id) }));
  };
  const act = useLatest((wanted: Panel): void => (wanted === "close" && scheduled === 0 ? doClose() : setPanel(wanted)));
  useKeys(conversation, act, reopen, composer);
  return (
    <>
      <section aria-label={t.threadWith(nameOf(conversation))} className="flex min-h-0 min-w-0 flex-1 flex-col">
        <Head conversation={conversation} isSideOpen={isSideOpen} onSide={() => setSideOpen(!isSideOpen)} onPanel={act} />
        <HistoryView conversation={conversation} history={history} />
        <Composer conversation={conversation} history={history.data} field={composer} />
      </section>
      {isSideOpen && <Beside onClose={closeSide} />}
      <aside aria-label={t.about} className={`min-h-0 w-80 shrink-0 flex-col overflow-auto border-l border-line bg-surface max-xl:fixed max-xl:inset-y-0 max-xl:right-0 max-xl:z-30 max-xl:w-full max-xl:max-w-sm max-xl:shadow-float ${isSideOpen ? "flex" : "hidden xl:flex"}`}>
        <div className="flex justify-end px-2 pt-2 xl:hidden">
          <IconButton label={t.closePanel} icon={X} onClick={closeSide} />
        </div>
        <Side conversation={conversation} />
      </aside>
      {panel === "assign" && <AssignDialog conversation={conversation} onClose={() => setPanel(null)} />}
      {panel === "snooze" && <SnoozeDialog conversation={conversation} onClose={() => setPanel(null)} />}
      <Confirm isOpen={panel === "close"} onClose={() => setPanel(null)} title={t.closeTitle} verb={t.close} needs="sms:write" onConfirm={doClose}>
        {t.closeLosesScheduled(scheduled)}
      </Confirm>
    </>
  );
}

/** Around the panel where it lies over the thread: a click there closes it, and so does Escape. */
function Beside({ onClose }: { onClose: () => void }) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector('[role="dialog"]')) onClose();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [onClose]);
  return <button type="button" aria-hidden tabIndex={-1} className="fixed inset-0 z-20 xl:hidden" onClick={onClose} />;
}

/** One function for ever that does what the newest one does. */
function useLatest<A>(act: (argument: A) => void): (argument: A) => void {
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  return useCallback((argument: A) => latest.current(argument), []);
}

/** The keys of a thread; single letters, which never act while one types. */
function useKeys(conversation: Conversation, act: (panel: Panel) => void, reopenIt: (id: string) => void, composer: React.RefObject<HTMLTextAreaElement | null>): void {
  const t = useTexts("inbox");
  const canWrite = useCan("sms:write");
  const { id } = conversation;
  const isClosed = conversation.status === "closed";
  const reopen = useLatest(reopenIt);
  useCommands(
    useMemo<Command[]>(() => {
      if (!canWrite) return [];
      const always: Command[] = [
        { id: "thread assign", label: t.assign, keys: "a", group: t.thread, run: () => act("assign") },
        { id: "thread reply", label: t.reply, keys: "r", group: t.thread, run: () => composer.current?.focus() },
      ];
      if (isClosed) return [...always, { id: "thread reopen", label: t.reopen, keys: "e", group: t.thread, run: () => reopen(id) }];
      return [
        ...always,
        { id: "thread close", label: t.close, keys: "e", group: t.thread, run: () => act("close") },
        { id: "thread snooze", label: t.snooze, keys: "s", group: t.thread, run: () => act("snooze") },
      ];
    }, [canWrite, isClosed, id, t, act, reopen, composer]),
  );
}

function Back() {
  const t = useTexts("inbox");
  const search = useSearch({ from: "/shell/inbox" });
  return (
    <Link to="/inbox" search={search} aria-label={t.backToList} className="grid size-11 shrink-0 place-items-center rounded-control text-dim hover:bg-hover lg:hidden">
      <ArrowLeft size={19} aria-hidden />
    </Link>
  );
}

/** Reading marks it read, once for each new message, while the page is looked at. */
function useReading(conversation: Conversation | undefined): void {
  const canWrite = useCan("sms:write");
  const id = conversation?.id;
  const isUnread = (conversation?.unread_count ?? 0) > 0;
  useEffect(() => {
    if (!id || !isUnread || !canWrite) return undefined;
    const read = (): void => {
      if (document.visibilityState === "visible") void markRead(id).catch(() => undefined);
    };
    read();
    document.addEventListener("visibilitychange", read);
    return () => document.removeEventListener("visibilitychange", read);
  }, [id, isUnread, canWrite]);
}

type Panel = "assign" | "snooze" | "close";

function Head({ conversation, isSideOpen, onSide, onPanel }: { conversation: Conversation; isSideOpen: boolean; onSide: () => void; onPanel: (panel: Panel) => void }) {
  const t = useTexts("inbox");
  const patch = usePatch();
  const { reopen } = useClose();
  const members = useMembers();
  const assignee = members.data?.members.find((each) => each.user_id === conversation.assignee_id);
  const isClosed = conversation.status === "closed";
  const now = useNow();
  const isSnoozed = conversation.snoozed_until !== null && Date.parse(conversation.snoozed_until) > now;
  return (
    <header className="border-b border-line bg-surface">
      <div className="flex items-center gap-1 py-2.5 pr-2 pl-4 max-lg:pl-1">
        <Back />
        <div className="min-w-0 flex-1">
          <h1 className="truncate text-base">{nameOf(conversation)}</h1>
          <p className="text-xs text-dim lg:truncate">
            {[conversation.contact?.name ? phone(conversation.contact_e164) : null, conversation.contact?.company, t.via(phone(conversation.number_e164))].filter(Boolean).join(" · ")}
          </p>
        </div>
        <span className="hidden sm:contents">
          <Button size="sm" look="quiet" icon={UserRound} needs="sms:write" onClick={() => onPanel("assign")}>
            {assignee ? (assignee.name ?? assignee.email) : t.assign}
          </Button>
        </span>
        <span className="contents sm:hidden">
          <IconButton label={t.assign} icon={UserRound} needs="sms:write" onClick={() => onPanel("assign")} />
        </span>
        <IconButton label={t.snooze} icon={AlarmClock} needs="sms:write" pressed={isSnoozed} off={isClosed ? t.closedReason : null} onClick={() => onPanel("snooze")} />
        {isClosed ? (
          <Button size="sm" icon={RotateCcw} needs="sms:write" onClick={() => reopen(conversation.id)}>
            {t.reopen}
          </Button>
        ) : (
          <Button size="sm" needs="sms:write" onClick={() => onPanel("close")}>
            {t.close}
          </Button>
        )}
        <span className="xl:hidden">
          <IconButton label={t.about} icon={PanelRight} pressed={isSideOpen} onClick={onSide} />
        </span>
      </div>
      <StateLine conversation={conversation} onResume={() => patch(conversation.id, { ai_paused: false }, () => toast.done(t.aiResumed))} onWake={() => reopen(conversation.id)} />
    </header>
  );
}

/** A text came outside the hours in which texts may leave: when the AI answers it, and what it waits for. */
function AiWaits({ conversation, until }: { conversation: Conversation; until: string }) {
  const t = useTexts("inbox");
  const at = exactTime(until, useZone());
  const hours = useTextingHours({ conversation_id: conversation.id });
  return (
    <p role="status" className="flex items-center gap-2 px-4 py-1.5">
      <Bot size={14} aria-hidden className="shrink-0 text-dim" />
      <span className="min-w-0 flex-1">{hours?.held_by === "recipient_hours" ? t.aiWaitsForThem(at) : t.aiWaitsForUs(at)}</span>
    </p>
  );
}

/** Snoozed until when, and whether the AI is silent and why: what one has to know before one writes. */
function StateLine({ conversation, onResume, onWake }: { conversation: Conversation; onResume: () => void; onWake: () => void }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const until = conversation.snoozed_until;
  const now = useNow();
  const isSnoozed = until !== null && Date.parse(until) > now;
  const pause = conversation.ai_paused ? t.aiPaused(t.pauseReasons[conversation.ai_paused_reason ?? ""] ?? conversation.ai_paused_reason ?? "") : null;
  const waits = conversation.ai_answers_at !== null && Date.parse(conversation.ai_answers_at) > now && !conversation.opted_out;
  if (!isSnoozed && !pause && !waits) return null;
  return (
    <div className="divide-y divide-line border-t border-line text-[13px]">
      {isSnoozed && (
        <p className="flex items-center gap-2 px-4 py-1.5">
          <AlarmClock size={14} aria-hidden className="shrink-0 text-dim" />
          <span className="min-w-0 flex-1">{t.snoozedUntil(exactTime(until, zone))}</span>
          <Button size="sm" look="quiet" needs="sms:write" onClick={onWake}>
            {t.wake}
          </Button>
        </p>
      )}
      {waits && <AiWaits conversation={conversation} until={conversation.ai_answers_at ?? ""} />}
      {pause && (
        <p className="flex items-center gap-2 px-4 py-1.5">
          <BotOff size={14} aria-hidden className="shrink-0 text-dim" />
          <span className="min-w-0 flex-1">{pause}</span>
          <Button size="sm" look="quiet" icon={Bot} needs="sms:write" onClick={onResume}>
            {t.resumeAi}
          </Button>
        </p>
      )}
    </div>
  );
}
