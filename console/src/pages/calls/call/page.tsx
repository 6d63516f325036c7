/** One call: followed word by word while it is live, heard and read afterwards. */
import { Link } from "@tanstack/react-router";
import { ArrowDownLeft, ArrowUpRight } from "lucide-react";
import { type ReactNode, Suspense, useEffect, useMemo } from "react";
import { useFlowName } from "@/api/flows";
import { useTexts } from "@/i18n";
import { isE164, phone } from "@/lib/format";
import { otherParty } from "@/lib/party";
import { Badge, Loaded, Page, Skeleton, Time } from "@/ui/layout";
import { PanelBoundary } from "@/ui/panel";
import { part } from "@/ui/part";
import { usePrinting } from "@/ui/printing";
import { Tabs } from "@/ui/tabs";
import { Duration, StatusBadge, usePartyName } from "../labels";
import { type CallDetail, isLive, useCall } from "../queries";
import { callRoute } from "../route";
import type { CallTab } from "../search";
import { Actions } from "./actions";
import { type ApprovalItem, ApprovalLine, useApprovals } from "./approvals";
import { floor } from "./events";
import { type Followed, useFollowed } from "./live";
import { Overview } from "./overview";
import { usePeaks } from "./peaks";
import { type Playback, usePlayback } from "./playback";
import { Printed } from "./printed";
import { Transcript } from "./transcript";

/** The waveform is 17 KB that a live call doesn't need; the other tabs are opened by few. */
const Compose = part(() => import("./compose"));
const Player = part(() => import("./player"));
const Timeline = part(() => import("./timeline"));
const Details = part(() => import("./details"));

export function CallPage() {
  const t = useTexts("call");
  const { id } = callRoute.useParams();
  const query = useCall(id);
  return (
    <Loaded query={query} skeleton={<Page title={t.title} back={{ to: "/calls", label: t.calls }}><Skeleton lines={9} height="h-6" /></Page>}>
      {(call) => <CallView key={call.id} call={call} />}
    </Loaded>
  );
}

function CallView({ call: record }: { call: CallDetail }) {
  const t = useTexts("call");
  const followed = useFollowed(record);
  const call = useMemo(() => (followed.known.status && followed.known.status !== record.status && isLive(record) ? { ...record, status: followed.known.status } : record), [record, followed.known.status]);
  const approvals = useApprovals(call.id, call.answered_at);
  const url = record.recording_url && followed.isConnected === null ? `/api/calls/${call.id}/recording` : null;
  const playback = usePlayback(url);
  usePeaks(call.id, "calls", url !== null); // they come while the player's code does
  const { tab = "transcript", at_ms: atMs } = callRoute.useSearch();
  useEffect(() => {
    if (playback && atMs !== undefined) playback.seek(atMs);
  }, [playback, atMs]);
  const name = usePartyName();
  const isPrinting = usePrinting();
  return (
    <Page title={name(call)} lead={<Lead call={call} followed={followed} />} back={{ to: "/calls", label: t.calls }} isFlush actions={<Actions call={call} isOver={followed.known.isOver} />}>
      {isPrinting && <Printed call={call} />}
      <div className="flex min-h-0 flex-1 border-t border-line max-md:flex-col print:block">
        <div className="md:hidden print:hidden">
          <CallTabs id={call.id} tab={tab} isNarrow />
        </div>
        <div className={`flex min-h-0 min-w-0 flex-1 flex-col bg-surface print:block ${tab === "transcript" ? "" : "max-md:hidden"}`}>
          <Spoken call={call} followed={followed} approvals={approvals} playback={playback} url={url} />
        </div>
        <aside aria-label={t.about} className={`flex min-h-0 w-96 shrink-0 flex-col border-line md:border-l max-lg:w-80 max-md:w-full max-md:flex-1 print:hidden ${tab === "transcript" ? "max-md:hidden" : ""}`}>
          <div className="max-md:hidden">
            <CallTabs id={call.id} tab={tab} />
          </div>
          <Side tab={tab} call={call} followed={followed} approvals={approvals} playback={playback} />
        </aside>
      </div>
    </Page>
  );
}

interface Parts {
  call: CallDetail;
  followed: Followed;
  approvals: readonly ApprovalItem[];
  playback: Playback | null;
}

function Spoken({ call, followed, approvals, playback, url }: Parts & { url: string | null }) {
  const isLiveNow = followed.isConnected !== null;
  const pending = approvals.filter((each) => each.approval.state === "pending");
  return (
    <>
      {playback && url && (
        <PanelBoundary>
          <Suspense fallback={<div className="h-42 border-b border-line print:hidden" />}>
            <Player call={call} known={followed.known} playback={playback} url={url} />
          </Suspense>
        </PanelBoundary>
      )}
      {isLiveNow && <Floor call={call} followed={followed} />}
      {isLiveNow && pending.length > 0 && (
        <div className="max-h-64 overflow-auto border-b border-line bg-warn-soft px-4 py-1">
          {pending.map((each) => (
            <ApprovalLine key={each.key} approval={each.approval} atMs={each.atMs} />
          ))}
        </div>
      )}
      <PanelBoundary>
        <Transcript call={call} followed={followed} approvals={isLiveNow ? approvals.filter((each) => !pending.includes(each)) : approvals} playback={playback} />
      </PanelBoundary>
      {isLiveNow && call.status === "in_progress" && (
        <Suspense>
          <Compose call={call} />
        </Suspense>
      )}
    </>
  );
}

/** Who is speaking, for whoever watches and does not hear. */
function Floor({ call, followed }: { call: CallDetail; followed: Followed }) {
  const t = useTexts("call");
  const who = floor(followed.known);
  const tool = followed.items.findLast((item) => item.kind === "tool" && item.tool.status === "running");
  const text = call.status !== "in_progress" ? t.waiting[call.status] : who ? t.floors[who] : tool?.kind === "tool" ? t.uses(tool.tool.name) : t.floors.nobody;
  const color = who === "caller" ? "text-caller" : who === "agent" ? "text-agent" : "text-dim";
  return (
    <div className="flex h-9 items-center gap-2.5 border-b border-line px-4 text-[13px]">
      <span aria-hidden className={`flex h-4 items-center gap-0.5 ${color}`}>
        {[6, 12, 16, 10, 7].map((height, at) => (
          <span key={at} className={`w-0.5 rounded-full bg-current ${who ? "animate-[hum-pulse_0.8s_infinite]" : ""}`} style={{ height: who ? height : 3, animationDelay: `${at * 110}ms` }} />
        ))}
      </span>
      <span className={`font-medium ${color}`}>{text}</span>
      {!followed.isConnected && <span className="ml-auto text-xs text-warn">{t.reconnecting}</span>}
    </div>
  );
}

function CallTabs({ id, tab, isNarrow = false }: { id: string; tab: CallTab; isNarrow?: boolean }) {
  const t = useTexts("call");
  const names: readonly CallTab[] = isNarrow ? ["transcript", "overview", "timeline", "details"] : ["overview", "timeline", "details"];
  const shown = !isNarrow && tab === "transcript" ? "overview" : tab;
  return <Tabs label={t.parts} tabs={names.map((each) => ({ label: t.tabs[each], isActive: each === shown, link: { to: "/calls/$id", params: { id }, search: each === "transcript" ? {} : { tab: each }, replace: true } }))} />;
}

function Side({ tab, call, followed, approvals, playback }: Parts & { tab: CallTab }) {
  let content: ReactNode = <Overview call={call} />;
  if (tab === "timeline") content = <Timeline call={call} followed={followed} approvals={approvals} playback={playback} />;
  if (tab === "details") content = <Details call={call} />;
  return (
    <PanelBoundary key={tab}>
      <Suspense fallback={<div className="p-4"><Skeleton lines={6} /></div>}>{tab === "timeline" ? content : <div className="min-h-0 flex-1 overflow-auto">{content}</div>}</Suspense>
    </PanelBoundary>
  );
}

/** Under the name: how it stands, whose call it is, when. */
function Lead({ call, followed }: { call: CallDetail; followed: Followed }) {
  const t = useTexts("call");
  const tc = useTexts("calls");
  const flowName = useFlowName();
  const party = otherParty(call);
  const isOut = call.direction === "outbound";
  const Arrow = isOut ? ArrowUpRight : ArrowDownLeft;
  const own = isOut ? call.from : call.to;
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-[13px]">
      <StatusBadge status={call.status} />
      {call.caller_verification === "failed" && <Badge tone="bad">{t.forged}</Badge>}
      <span className="tabular text-ink">
        <Duration call={call} />
      </span>
      {call.contact?.name && isE164(party) && <span className="tabular">{phone(party)}</span>}
      {call.contact?.company && <span>{call.contact.company}</span>}
      <span className="inline-flex items-center gap-1">
        <Arrow size={14} aria-hidden />
        {isOut ? tc.outbound : tc.inbound} {isE164(own) && phone(own)}
      </span>
      {call.flow_id && (
        <Link to={"/agents/$id" as string} params={{ id: call.flow_id } as never} className="underline decoration-line-strong underline-offset-2 hover:text-ink">
          {flowName(call.flow_id) ?? t.agent}
          {call.flow_version !== null && ` · ${t.version(call.flow_version)}`}
        </Link>
      )}
      <span className="print:hidden">
        <Time at={call.created_at} />
      </span>
      {!isLive(call) && followed.isConnected === null && call.end_reason && <span>{tc.endReasons[call.end_reason] ?? call.end_reason}</span>}
    </div>
  );
}
