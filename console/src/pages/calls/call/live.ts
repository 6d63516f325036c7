/** A live call as it goes on: its record, and after that what its own stream tells, at most once a frame. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useAct } from "@/api/acts";
import { queryClient } from "@/api/queries";
import { type CallDetail, askTurns, isLive } from "../queries";
import { type CallEvent, EVENT_NAMES, type Item, type Known, NOTHING, inOrder, takeIn, withEarlier, withRecord } from "./events";

const AGAIN_MS = 3000;
/** A hidden tab gives its connection back: a browser has six to a host. */
const HIDDEN_MS = 4000;
/** The stream begins so many events before the record's end: the record knows of no message that is just being spoken. */
const OVERLAP = 50;

/** What was said before the turns that are here. */
export interface Earlier {
  isMore: boolean;
  isLoading: boolean;
  error: Error | null;
  load: () => void;
}

export interface Followed {
  known: Known;
  items: Item[];
  /** Whether words come as they are spoken; null when the call is over. */
  isConnected: boolean | null;
  earlier: Earlier;
}

export function useFollowed(call: CallDetail): Followed {
  const [known, setKnown] = useState<Known>(() => withRecord(NOTHING, call));
  const [record, setRecord] = useState(call);
  if (record !== call) {
    setRecord(call);
    setKnown(withRecord(known, call));
  }
  const isOpen = isLive(call) && !known.isOver;
  const isConnected = useStream(call, isOpen, setKnown);
  const earlier = useEarlier(call.id, known.earlier, setKnown);
  const items = useMemo(() => inOrder(known), [known]);
  return { known, items, isConnected: isOpen ? isConnected : null, earlier };
}

type SetKnown = (change: (old: Known) => Known) => void;

function useEarlier(id: string, cursor: string | null, setKnown: SetKnown): Earlier {
  const isAsked = useRef(false); // several parts of the page may want it at once
  const { mutate, isPending, error } = useAct({
    mutationFn: (from: string) => askTurns(id, from),
    onSuccess: (page, from) => setKnown((old) => withEarlier(old, from, page)),
    onSettled: () => {
      isAsked.current = false;
    },
  });
  const load = useCallback(() => {
    if (cursor === null || isAsked.current) return;
    isAsked.current = true;
    mutate(cursor);
  }, [cursor, mutate]);
  return useMemo(() => ({ isMore: cursor !== null, isLoading: isPending, error, load }), [cursor, isPending, error, load]);
}

/** Ask for what was said before, page after page, as long as it is wanted. A page that didn't come is asked for again by hand. */
export function useReach({ isMore, isLoading, error, load }: Earlier, isWanted: boolean): void {
  useEffect(() => {
    if (isWanted && isMore && !isLoading && !error) load();
  }, [isWanted, isMore, isLoading, error, load]);
}

function useStream(call: CallDetail, isOpen: boolean, setKnown: SetKnown): boolean {
  const [isConnected, setConnected] = useState(false);
  const record = useRef(call);
  useEffect(() => {
    record.current = call;
  }, [call]);
  const { id } = call;
  useEffect(() => {
    if (!isOpen) return undefined;
    const begin = (): number => Math.max(0, record.current.last_event_id - OVERLAP);
    return follow(id, begin, setConnected, (events) => setKnown((old) => takeIn(old, events, record.current.answered_at)));
  }, [id, isOpen, setKnown]);
  return isConnected;
}

/** Follow a call's stream until the answer is called. What is told again changes nothing. */
function follow(id: string, begin: () => number, setConnected: (is: boolean) => void, take: (events: CallEvent[]) => void): () => void {
  let source: EventSource | null = null;
  let last = 0;
  let [waiting, frame, timer]: [CallEvent[], number, ReturnType<typeof setTimeout> | undefined] = [[], 0, undefined];
  const flush = (): void => {
    frame = 0;
    const events = waiting;
    waiting = [];
    take(events);
    if (events.some((event) => event.type === "call.state" || event.type === "call.ended")) void queryClient.invalidateQueries({ queryKey: ["calls", id] });
  };
  const close = (): void => {
    source?.close();
    source = null;
    setConnected(false);
  };
  const open = (): void => {
    clearTimeout(timer);
    if (source) return;
    source = new EventSource(`/api/calls/${encodeURIComponent(id)}/stream?last_event_id=${last || begin()}`);
    source.addEventListener("open", () => setConnected(true));
    source.addEventListener("error", () => {
      setConnected(false);
      if (source?.readyState !== EventSource.CLOSED) return; // it connects again by itself, and goes on where it was
      source = null;
      void queryClient.invalidateQueries({ queryKey: ["calls", id] }); // says whether the call is over, or the session
      timer = setTimeout(open, AGAIN_MS);
    });
    for (const type of EVENT_NAMES) {
      source.addEventListener(type, ({ data, lastEventId }: MessageEvent<string>) => {
        last = Number(lastEventId) || last;
        waiting.push({ type, data: JSON.parse(data) } as CallEvent);
        frame ||= requestAnimationFrame(flush);
      });
    }
  };
  const seen = (): void => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") open();
    else timer = setTimeout(close, HIDDEN_MS);
  };
  if (document.visibilityState === "visible") open();
  document.addEventListener("visibilitychange", seen);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    close();
  };
}
