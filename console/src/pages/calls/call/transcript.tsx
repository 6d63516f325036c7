/** What was said and done, in order. Only what is in sight is in the page, however long the call. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp, MessagesSquare } from "lucide-react";
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/layout";
import { usePrinting } from "@/ui/printing";
import type { CallDetail } from "../queries";
import type { ApprovalItem } from "./approvals";
import { ApprovalLine } from "./approvals";
import { type Item, type Said, itemAt } from "./events";
import { ItemLine } from "./items";
import { type Earlier, type Followed, useReach } from "./live";
import { type Playback, usePlaying } from "./playback";

export type Line = Item | ApprovalItem;

const AT_END_PX = 60;
/** So far from the top, what was said before is asked for. */
const NEAR_TOP_PX = 1200;
const EARLIER_PX = 40;
/** How long a turn of the wheel or a press of a key goes on moving. */
const MOVING_MS = 700;

interface Props {
  call: CallDetail;
  followed: Followed;
  approvals: readonly ApprovalItem[];
  playback: Playback | null;
}

export function Transcript({ call, followed, approvals, playback }: Props) {
  const t = useTexts("call");
  const { known, earlier } = followed;
  const lines = useLines(followed.items, approvals, known.fromMs);
  const scroller = useRef<HTMLDivElement>(null);
  // What comes above moves nothing: the place is kept from the end.
  const rows = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => 64, overscan: 8, anchorTo: "end", paddingStart: earlier.isMore ? EARLIER_PX : 0, getItemKey: useCallback((at: number) => lines[at]?.key ?? at, [lines]) });
  const isPrinting = usePrinting();
  const end = useFollowEnd(scroller, followed, rows.getTotalSize());
  const playing = usePlaying(playback, (each) => (each.isPlaying || each.ms > 0 ? (itemAt(followed.items, each.ms)?.key ?? null) : null), null);
  useKeepInSight(playing, lines, (at) => {
    end.leave();
    rows.scrollToIndex(at, { align: "auto" });
  });
  const isPlayedBefore = usePlaying(playback, (each) => (each.isPlaying || each.ms > 0) && each.ms < known.fromMs, false);
  const begin = useBegin(scroller, earlier, end.leave);
  useReach(earlier, begin.isWanted || isPlayedBefore || end.isNearTop || rows.getTotalSize() < NEAR_TOP_PX);
  const latencies = useMemo(() => new Map((call.latency?.turns ?? []).map((each) => [each.turn_seq, each])), [call.latency]);
  const play = useCallback((ms: number) => playback?.seek(ms, true), [playback]);
  if (lines.length === 0) {
    return (
      <Empty icon={MessagesSquare} title={followed.isConnected === null ? t.nothingSaid : t.nothingYet}>
        {followed.isConnected === null ? t.nothingSaidLead : t.nothingYetLead}
      </Empty>
    );
  }
  return (
    <div className="relative flex min-h-0 flex-1 flex-col print:block">
      {earlier.isMore && followed.isConnected === null && (
        <div className="flex items-center justify-between gap-3 border-b border-line px-4 py-1 text-[13px] text-dim">
          {t.fromEnd}
          <Button size="sm" look="quiet" icon={ArrowUp} busy={begin.isWanted} onClick={begin.go}>
            {t.fromBegin}
          </Button>
        </div>
      )}
      <div ref={scroller} role="region" aria-label={t.transcript} tabIndex={0} data-quiet-focus className="min-h-0 flex-1 overflow-auto px-4 py-2 [overflow-anchor:none] max-md:px-3 print:overflow-visible" {...end.handlers}>
        <div className="relative mx-auto max-w-3xl">
          <EarlierState earlier={earlier} />
        </div>
        <div role="list" className="relative mx-auto max-w-3xl" style={isPrinting ? {} : { height: rows.getTotalSize() }}>
          {(isPrinting ? lines.map((line, index) => ({ key: line.key, index, start: null })) : rows.getVirtualItems()).map((row) => {
            const line = lines[row.index];
            if (!line) return null;
            const latency = line.kind === "said" && line.seq !== null ? latencies.get(line.seq) : undefined;
            const place = row.start === null ? { className: "break-inside-avoid" } : { ref: rows.measureElement, className: "absolute inset-x-0 top-0", style: { transform: `translateY(${row.start}px)` } };
            return (
              <div key={row.key} data-index={row.index} role="listitem" {...place}>
                <LineView line={line} latency={latency} isPlaying={line.key === playing} play={playback ? play : null} />
              </div>
            );
          })}
        </div>
      </div>
      {!end.isAtEnd && followed.isConnected !== null && (
        <div className="pointer-events-none absolute inset-x-0 bottom-3 flex justify-center print:hidden">
          <span className="pointer-events-auto rounded-full shadow-float">
            <Button size="sm" icon={ArrowDown} onClick={end.toEnd}>
              {t.latest}
            </Button>
          </span>
        </div>
      )}
      {followed.isConnected !== null && <ReadOut items={followed.items} />}
    </div>
  );
}

/** How what was said before comes; in the list's own padding, so that it moves nothing. */
function EarlierState({ earlier }: { earlier: Earlier }) {
  const t = useTexts("call");
  if (!earlier.isMore) return null;
  return (
    <div className="absolute inset-x-0 top-0 flex items-center justify-center text-xs text-dim" style={{ height: EARLIER_PX }}>
      {earlier.error ? (
        <Button size="sm" onClick={earlier.load}>
          {t.earlierAgain}
        </Button>
      ) : (
        t.earlier
      )}
    </div>
  );
}

const LineView = memo(function LineView({ line, latency, isPlaying, play }: { line: Line; latency: Schemas["TurnLatency"] | undefined; isPlaying: boolean; play: ((ms: number) => void) | null }) {
  return line.kind === "approval" ? <ApprovalLine approval={line.approval} atMs={line.atMs} /> : <ItemLine item={line} latency={latency} isPlaying={isPlaying} play={play} />;
});

/** Approvals among the rest, where they were asked for. */
function useLines(items: readonly Item[], approvals: readonly ApprovalItem[], fromMs: number): readonly Line[] {
  return useMemo(() => (approvals.length === 0 ? items : [...items, ...approvals.filter((each) => each.atMs >= fromMs)].toSorted((a, b) => a.atMs - b.atMs)), [items, approvals, fromMs]);
}

/** To the beginning of the call, once all of it is here. */
function useBegin(scroller: React.RefObject<HTMLElement | null>, earlier: Earlier, leaveEnd: () => void) {
  const [isWanted, setWanted] = useState(false);
  const { isMore, error, load } = earlier;
  useEffect(() => {
    if (!isWanted || (isMore && !error)) return;
    setWanted(false); // where a page didn't come, its place says so
    if (isMore) return;
    leaveEnd(); // what came above has moved the end, which counts as being there
    scroller.current?.scrollTo({ top: 0 });
  }, [isWanted, isMore, error, scroller, leaveEnd]);
  const go = useCallback(() => {
    scroller.current?.focus();
    setWanted(true);
    load();
  }, [load, scroller]);
  return { isWanted, go };
}

/**
 * Stay at the end while one is there; a person who reads further up is left in peace. A call that isn't here from its beginning opens
 * at its end, too.
 */
function useFollowEnd(scroller: React.RefObject<HTMLElement | null>, { isConnected, earlier }: Followed, size: number) {
  const [isFollowed] = useState(isConnected !== null || earlier.isMore);
  const isLive = isFollowed || isConnected !== null;
  const [isAtEnd, setAtEnd] = useState(isLive);
  const [isNearTop, setNearTop] = useState(false);
  const leave = useCallback(() => setAtEnd(false), []);
  const movedAt = useRef(-MOVING_MS);
  const toEnd = useCallback(() => {
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
    setAtEnd(true);
  }, [scroller]);
  useLayoutEffect(() => {
    if (isLive && isAtEnd) toEnd();
  }, [isLive, isAtEnd, size, toEnd]);
  // Lines that are measured move the list as well: only a person's own hand leaves the end.
  const moved = (event: React.SyntheticEvent): void => {
    movedAt.current = event.timeStamp;
  };
  const onScroll = (event: React.UIEvent<HTMLElement>): void => {
    const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
    const isThere = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    setNearTop(scrollTop < NEAR_TOP_PX && !isThere);
    if (isThere || event.timeStamp - movedAt.current < MOVING_MS) setAtEnd(isThere);
  };
  return { isAtEnd, isNearTop, toEnd, leave, handlers: { onScroll, onWheel: moved, onTouchMove: moved, onPointerDown: moved, onKeyDown: moved } };
}

/** The sentence that is being played, or was chosen to be, is kept in sight. */
function useKeepInSight(playing: string | null, lines: readonly Line[], show: (at: number) => void): void {
  const latest = useRef({ lines, show });
  useEffect(() => {
    latest.current = { lines, show };
  });
  useEffect(() => {
    if (!playing) return;
    const at = latest.current.lines.findIndex((line) => line.key === playing);
    if (at >= 0) latest.current.show(at);
  }, [playing]);
}

/** For screen readers: each turn once it is complete, not each word. */
function ReadOut({ items }: { items: readonly Item[] }) {
  const t = useTexts("call");
  const last = items.findLast((item): item is Said => item.kind === "said" && item.seq !== null);
  return (
    <p aria-live="polite" className="sr-only">
      {last && `${t.speakers[last.role]}: ${last.text}`}
    </p>
  );
}
