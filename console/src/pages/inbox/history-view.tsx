import { ArrowDown } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { ownKey, useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { dayOf, longDay } from "@/lib/format";
import { Failure, Skeleton } from "@/ui/layout";
import { useNow } from "@/ui/now";
import { Bubble, Waiting } from "./bubble";
import { useKept } from "./drafts";
import { type Day, byDays } from "./history";
import { type Conversation, type useHistory, useRuns, isUnderWay } from "./queries";

const NEAR_TOP_PX = 600;
const AWAY_PX = 240;

/**
 * A thread's messages, read from the bottom. The scroller runs backwards, so its place is counted from the newest message: what is
 * loaded above moves nothing.
 */
export function HistoryView({ conversation, history }: { conversation: Conversation; history: ReturnType<typeof useHistory> }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const scroller = useRef<HTMLDivElement>(null);
  const [isAway, setAway] = useState(false);
  const { data, isLoadingOlder, loadOlder } = history;
  const days = useMemo(() => byDays(data?.messages ?? [], (at) => dayOf(at, zone)), [data, zone]);
  const older = data?.older ?? null;
  const more = (): void => {
    const element = scroller.current;
    if (!element || !older || isLoadingOlder || history.olderError) return;
    if (element.scrollHeight - element.clientHeight + element.scrollTop < NEAR_TOP_PX) loadOlder(older);
  };
  useEffect(more);
  const toNewest = (): void => scroller.current?.scrollTo({ top: 0 });
  return (
    <div className="relative min-h-0 flex-1 bg-canvas">
      <div
        ref={scroller}
        role="region"
        aria-label={t.messages}
        tabIndex={0}
        data-quiet-focus
        className="flex h-full flex-col-reverse overflow-auto px-4 max-md:px-3"
        onScroll={(event) => {
          setAway(event.currentTarget.scrollTop < -AWAY_PX);
          more();
        }}
      >
        <div role="log" aria-label={t.messages} className="mx-auto w-full max-w-3xl py-4">
          {history.olderError && older && <Failure error={history.olderError} onRetry={() => loadOlder(older)} />}
          {isLoadingOlder && <Skeleton lines={3} height="h-8" />}
          {history.isPending && <Skeleton lines={6} height="h-9" />}
          {history.error && !data && <Failure error={history.error} onRetry={() => void history.refetch()} />}
          {data && !older && <p className="pb-3 text-center text-xs text-dim">{data.messages.length ? t.beginning : t.noMessagesYet}</p>}
          {days.map((each) => (
            <DayOfMessages key={each.day} of={each} />
          ))}
          <Outbox conversation={conversation} />
          <AgentAtWork id={conversation.id} />
        </div>
      </div>
      {isAway && (
        <button type="button" aria-label={t.toNewest} title={t.toNewest} onClick={toNewest} className="absolute right-4 bottom-3 grid size-9 place-items-center rounded-full border border-line bg-raised shadow-float hover:bg-hover">
          <ArrowDown size={17} aria-hidden />
        </button>
      )}
    </div>
  );
}

function DayOfMessages({ of }: { of: Day }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const now = useNow();
  const first = of.messages[0];
  if (!first) return null;
  const isToday = of.day === dayOf(new Date(now), zone);
  return (
    <section aria-label={longDay(first.created_at, zone)}>
      <p className="sticky top-2 z-[1] mx-auto my-3 w-fit rounded-full border border-line bg-surface px-3 py-0.5 text-xs text-dim">{isToday ? t.today : longDay(first.created_at, zone)}</p>
      <ol className="space-y-2">
        {of.messages.map((each) => (
          <li key={each.id} className="[contain-intrinsic-size:auto_56px] [content-visibility:auto]">
            <Bubble message={each} />
          </li>
        ))}
      </ol>
    </section>
  );
}

/** What was sent from here and isn't confirmed. */
function Outbox({ conversation }: { conversation: Conversation }) {
  const me = useMe();
  const key = ownKey(me, conversation.id);
  const { outbox } = useKept(key);
  return (
    <ol className="mt-2 space-y-2">
      {outbox.map((each) => (
        <li key={each.key}>
          <Waiting thread={key} conversationId={conversation.id} text={each} />
        </li>
      ))}
    </ol>
  );
}

function AgentAtWork({ id }: { id: string }) {
  const t = useTexts("inbox");
  const { data } = useRuns(id);
  if (!data?.runs.some(isUnderWay)) return null;
  return (
    <p role="status" className="mt-2 flex items-center justify-end gap-2 text-xs text-dim">
      <span aria-hidden className="size-1.5 animate-[hum-pulse_1.2s_infinite] rounded-full bg-agent" />
      {t.aiWriting}
    </p>
  );
}
