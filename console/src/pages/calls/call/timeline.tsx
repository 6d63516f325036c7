/** Everything of a call on one axis of time: speech, tools, interruptions, where it went, how it began and ended. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef } from "react";
import { useFlowName } from "@/api/flows";
import { useTexts } from "@/i18n";
import { clockTime, count, phone } from "@/lib/format";
import { Empty } from "@/ui/layout";
import { Activity } from "lucide-react";
import type { CallDetail } from "../queries";
import type { ApprovalItem } from "./approvals";
import { type Item, callMs } from "./events";
import { type Followed, useReach } from "./live";
import type { Playback } from "./playback";
import { whyText } from "./why";

type Lane = "call" | "caller" | "agent" | "tool" | "person";

interface Mark {
  key: string;
  atMs: number;
  endMs: number | null;
  lane: Lane;
  text: string;
  detail?: string | undefined;
  isBad?: boolean;
}

const DOTS: Record<Lane, string> = { call: "bg-line-strong", caller: "bg-caller", agent: "bg-agent", tool: "bg-warn", person: "bg-info" };
const ROW_PX = 34;

export default function Timeline({ call, followed, approvals, playback }: { call: CallDetail; followed: Followed; approvals: readonly ApprovalItem[]; playback: Playback | null }) {
  const t = useTexts("call");
  useReach(followed.earlier, true); // one axis has all of it
  const marks = useMarks(call, followed, approvals);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: marks.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 10 });
  const totalMs = Math.max(1000, ...marks.slice(-3).map((mark) => mark.endMs ?? mark.atMs), (call.duration_seconds ?? 0) * 1000);
  if (marks.length === 0) return <Empty icon={Activity} title={t.nothingYet} />;
  return (
    <div ref={scroller} role="region" aria-label={t.timeline} tabIndex={0} data-quiet-focus className="min-h-0 flex-1 overflow-auto py-2">
      <ol className="relative" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((row) => {
          const mark = marks[row.index];
          if (!mark) return null;
          return (
            <li key={mark.key} className="absolute inset-x-0 px-4" style={{ height: ROW_PX, transform: `translateY(${row.start}px)` }}>
              <MarkRow mark={mark} totalMs={totalMs} onPlay={playback ? () => playback.seek(mark.atMs, true) : null} />
            </li>
          );
        })}
      </ol>
    </div>
  );
}

function MarkRow({ mark, totalMs, onPlay }: { mark: Mark; totalMs: number; onPlay: (() => void) | null }) {
  const from = Math.min(100, (mark.atMs / totalMs) * 100);
  const width = Math.max(0.6, (((mark.endMs ?? mark.atMs) - mark.atMs) / totalMs) * 100);
  const time = clockTime(mark.atMs / 1000);
  const line: ReactNode = (
    <>
      <span className="tabular w-10 shrink-0 text-right text-xs text-dim">{time}</span>
      <span aria-hidden className={`size-2 shrink-0 rounded-full ${DOTS[mark.lane]}`} />
      <span className={`min-w-0 flex-1 truncate text-left ${mark.isBad ? "text-bad" : ""}`} title={mark.text}>
        {mark.text}
      </span>
      {mark.detail && <span className="tabular shrink-0 text-xs text-dim">{mark.detail}</span>}
    </>
  );
  const look = "flex h-6 w-full items-center gap-2 text-[13px]";
  return (
    <>
      {onPlay ? (
        <button type="button" className={`${look} rounded hover:bg-hover`} onClick={onPlay}>
          {line}
        </button>
      ) : (
        <div className={look}>{line}</div>
      )}
      <div aria-hidden className="ml-15 h-1 overflow-hidden rounded-full bg-sunken">
        <div className={`h-full rounded-full ${DOTS[mark.lane]}`} style={{ marginLeft: `${Math.min(from, 99.4)}%`, width: `${width}%` }} />
      </div>
    </>
  );
}

function useMarks(call: CallDetail, followed: Followed, approvals: readonly ApprovalItem[]): Mark[] {
  const t = useTexts("call");
  const tc = useTexts("calls");
  const { states } = useTexts("approvals");
  const name = useFlowName();
  return useMemo(() => {
    const answered = callMs(call.created_at, call.answered_at);
    const begin: Mark = { key: "began", atMs: 0, endMs: null, lane: "call", text: call.direction === "outbound" ? t.placed : t.came, detail: call.flow_version === null ? undefined : `${name(call.flow_id) ?? ""} v${call.flow_version}` };
    const rang = call.answered_at && answered !== null ? [{ key: "answered", atMs: 0, endMs: null, lane: "call", text: t.answeredAfter(clockTime((new Date(call.answered_at).getTime() - new Date(call.created_at).getTime()) / 1000)), detail: call.answered_by === null ? undefined : t.answerers[call.answered_by] } satisfies Mark] : [];
    const ended = callMs(call.ended_at ?? "", call.ended_at ? call.answered_at : null);
    const end = call.ended_at ? [{ key: "ended", atMs: ended ?? 0, endMs: null, lane: "call", text: (call.end_reason && (tc.endReasons[call.end_reason] ?? call.end_reason)) || tc.statuses[call.status], isBad: call.status === "failed" } satisfies Mark] : [];
    const rest: Mark[] = [
      ...followed.items.map((item) => markOf(item, t, name)),
      ...followed.known.interruptions.map((each): Mark => ({ key: `cut ${each.at_ms}`, atMs: each.at_ms, endMs: each.at_ms + each.reaction_ms, lane: "caller", text: each.verdict === "cut" ? t.spokeOver : t.spokeOverBack, detail: [t.ms(each.reaction_ms), whyText(t, each)].filter(Boolean).join(" · ") })),
      ...followed.known.refused.map((each): Mark => ({ key: `refused ${each.at_ms}`, atMs: each.at_ms, endMs: each.until_ms, lane: "caller", text: t.marks.refused, detail: whyText(t, { onset: each.onset, refusal: each.reason }) })),
      ...(call.more_refused_onsets ? [{ key: "more refused", atMs: followed.known.refused.at(-1)?.until_ms ?? 0, endMs: null, lane: "caller", text: t.moreRefused(count(call.more_refused_onsets)) } satisfies Mark] : []),
      ...approvals.map(({ approval, atMs, key }): Mark => ({ key, atMs, endMs: callMs(approval.decided_at ?? "", approval.decided_at ? call.answered_at : null), lane: "person", text: approval.summary, detail: states[approval.state] })),
      ...call.recording_pauses.map((each): Mark => ({ key: `pause ${each.start_ms}`, atMs: each.start_ms, endMs: each.end_ms, lane: "call", text: t.recordingPaused(each.cause) })),
    ];
    return [begin, ...rang, ...rest.toSorted((a, b) => a.atMs - b.atMs), ...end];
  }, [call, followed.items, followed.known.interruptions, followed.known.refused, approvals, t, tc, states, name]);
}

type CallTexts = ReturnType<typeof useTexts<"call">>;

function markOf(item: Item, t: CallTexts, name: ReturnType<typeof useFlowName>): Mark {
  const base = { key: item.key, atMs: item.atMs, endMs: null };
  switch (item.kind) {
    case "said":
      return { ...base, endMs: item.endMs, lane: item.role === "system" ? "call" : item.role, text: item.text || "…", detail: item.isInterrupted ? t.interrupted : undefined };
    case "tool":
      return { ...base, endMs: item.atMs + (item.tool.duration_ms ?? 0), lane: "tool", text: item.tool.name, detail: item.tool.duration_ms === null ? t.toolStatuses[item.tool.status] : t.ms(item.tool.duration_ms), isBad: item.tool.status === "failed" || item.tool.status === "lost" };
    case "told":
      return { ...base, lane: "person", text: `${t.told[item.told.kind] ?? item.told.kind}: ${item.told.text}`, detail: item.told.by };
    case "transfer":
      return { ...base, endMs: endOf(item.transfer, item.atMs), lane: "call", text: t.transferTo(item.transfer.label ?? phone(item.transfer.to)), detail: t.transferStates[item.transfer.state] };
    case "switched":
      return { ...base, lane: "call", text: t.switchedTo(name(item.to.flow_id) ?? t.anotherAgent), detail: `v${item.to.flow_version}` };
    case "keys":
      return { ...base, lane: "caller", text: `${t.keypad} ${item.keys}` };
    case "message":
      return { ...base, lane: "caller", text: item.isOver ? t.messageOver : t.messageBegun };
  }
}

function endOf(transfer: { started_at: string; ended_at: string | null }, atMs: number): number | null {
  return transfer.ended_at ? atMs + new Date(transfer.ended_at).getTime() - new Date(transfer.started_at).getTime() : null;
}
