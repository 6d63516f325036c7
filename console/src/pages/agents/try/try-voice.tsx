import { Link } from "@tanstack/react-router";
import { Headphones, Mic, MicOff, Phone, PhoneOff } from "lucide-react";
import { type RefObject, useCallback, useEffect, useReducer, useRef, useState } from "react";
import type { Schemas } from "@/api/client";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { clockTime } from "@/lib/format";
import { Button } from "@/ui/button";
import { Badge, Card, Empty, type Tone } from "@/ui/layout";
import { useEditing } from "../edit/editing";
import { ToolLine } from "../tool-line";
import { BrowserCall, type Fault, type Phase } from "./call";
import { type Transcript, floorOf, withDelta, withTurn, withoutUnsaid } from "./transcript";

type Tool = Schemas["ToolActivity"];

interface State {
  phase: Phase;
  callId: string | null;
  fault: Fault | null;
  ended: Schemas["CallEnded"] | null;
  lines: Transcript;
  tools: readonly Tool[];
}

const IDLE: State = { phase: "idle", callId: null, fault: null, ended: null, lines: [], tools: [] };

type Change = Partial<State> | ((state: State) => State);

function reduce(state: State, change: Change): State {
  return typeof change === "function" ? change(state) : { ...state, ...change };
}

/** The call that this page has, and what it does. */
function useBrowserCall(flowId: string, audio: RefObject<HTMLAudioElement | null>) {
  const [state, tell] = useReducer(reduce, IDLE);
  const [levels, setLevels] = useState({ caller: 0, agent: 0 });
  const call = useRef<BrowserCall>(null);
  const place = useCallback(() => {
    if (!audio.current || (call.current && !call.current.isOver)) return;
    tell({ ...IDLE, phase: "microphone" });
    call.current = new BrowserCall(audio.current, {
      onPhase: (phase) => tell({ phase }),
      onFault: (fault) => tell({ fault }),
      onCallId: (callId) => tell({ callId }),
      onDelta: (delta) => tell((at) => ({ ...at, lines: withDelta(at.lines, delta) })),
      onTurn: (turn) => tell((at) => ({ ...at, lines: withTurn(at.lines, turn) })),
      onTool: (tool) => tell((at) => ({ ...at, tools: [...at.tools.filter((each) => each.id !== tool.id), tool] })),
      onEnded: (ended) => {
        tell((at) => ({ ...at, ended, lines: withoutUnsaid(at.lines) }));
        void queryClient.invalidateQueries({ queryKey: ["calls"] });
      },
      onLevels: (caller, agent) => setLevels({ caller, agent }),
    });
    void call.current.place(flowId);
  }, [audio, flowId]);
  useEffect(() => {
    const leave = (): void => call.current?.leave();
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
    };
  }, []);
  return { ...state, levels, place, end: () => call.current?.end(), mute: (isMuted: boolean) => call.current?.mute(isMuted) };
}

/** A call to the agent from this browser. */
export default function TryVoice() {
  const t = useTexts("try");
  const { base, isDirty } = useEditing();
  const audio = useRef<HTMLAudioElement>(null);
  const call = useBrowserCall(base.id, audio);
  const isUnderWay = call.phase === "microphone" || call.phase === "calling" || call.phase === "connected";
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[20rem_minmax(0,1fr)]">
      <Card title={t.call}>
        <div className="space-y-4">
          <PhaseLine call={call} />
          <Meters levels={call.levels} isOn={call.phase === "connected"} />
          <Controls call={call} isUnderWay={isUnderWay} />
          {isDirty && <p className="rounded-control bg-warn-soft px-3 py-2 text-[13px]">{t.savedOnly(base.version)}</p>}
          <p className="flex gap-2 text-xs text-dim">
            <Headphones size={15} aria-hidden className="shrink-0" /> {t.headphones}
          </p>
          {call.callId && call.phase === "ended" && (
            <Link to="/calls/$id" params={{ id: call.callId }} className="text-accent underline">
              {t.toCall}
            </Link>
          )}
        </div>
        {/* What the agent says is in the transcript beside it. */}
        {/* oxlint-disable-next-line jsx-a11y/media-has-caption */}
        <audio ref={audio} id="agent" autoPlay />
      </Card>
      <LiveTranscript lines={call.lines} tools={call.tools} isUnderWay={isUnderWay} />
    </div>
  );
}

type Call = ReturnType<typeof useBrowserCall>;
const TONES: Record<Phase, Tone> = { idle: "plain", microphone: "info", calling: "info", connected: "good", ended: "plain" };

function PhaseLine({ call }: { call: Call }) {
  const t = useTexts("try");
  const seconds = useSeconds(call.phase === "connected");
  const { fault, ended } = call;
  return (
    <div id="status" role="status" className="min-h-12 space-y-1">
      <p className="flex items-center gap-2">
        <Badge tone={fault ? "bad" : TONES[call.phase]} isLive={call.phase === "connected"}>
          {fault ? t.failed : t.phases[call.phase]}
        </Badge>
        {call.phase === "connected" && <span className="text-dim tabular">{clockTime(seconds)}</span>}
        {ended?.duration_seconds !== null && ended?.duration_seconds !== undefined && <span className="text-dim tabular">{clockTime(ended.duration_seconds)}</span>}
      </p>
      <p className="text-[13px] text-dim">
        {fault ? (typeof fault === "string" ? t.faults[fault] : `${fault.message} ${fault.requestId}`) : call.phase === "ended" && ended ? t.endedBy(t.reasons[ended.reason ?? ""] ?? ended.reason ?? ended.status) : t.phaseHints[call.phase]}
      </p>
    </div>
  );
}

function useSeconds(isRunning: boolean): number {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    if (!isRunning) return undefined;
    const startedAt = Date.now();
    setSeconds(0);
    const timer = setInterval(() => setSeconds((Date.now() - startedAt) / 1000), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return seconds;
}

/** Both sides' levels, and who has the floor. */
function Meters({ levels, isOn }: { levels: { caller: number; agent: number }; isOn: boolean }) {
  const t = useTexts("try");
  const floor = isOn ? floorOf(levels.caller, levels.agent) : "nobody";
  return (
    <div className="space-y-2">
      {(["caller", "agent"] as const).map((side) => {
        const hasFloor = floor === side || floor === "both";
        return (
          <div key={side} className="grid grid-cols-[4.5rem_1fr] items-center gap-2 text-[13px]">
            <span className={hasFloor ? "font-medium" : "text-dim"}>{side === "caller" ? t.you : t.agent}</span>
            <span role="meter" aria-label={side === "caller" ? t.yourLevel : t.agentLevel} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(shownLevel(levels[side]))} className="h-2 overflow-hidden rounded-full bg-sunken">
              <span className={`block h-full rounded-full transition-[width] duration-75 ${side === "caller" ? "bg-caller" : "bg-agent"}`} style={{ width: `${shownLevel(levels[side])}%` }} />
            </span>
          </div>
        );
      })}
      <p className="h-5 text-[13px] text-dim">{isOn && t.floor[floor]}</p>
    </div>
  );
}

/** Loudness as an ear has it: quiet speech is visible. */
function shownLevel(level: number): number {
  return Math.min(100, Math.sqrt(level) * 160);
}

function Controls({ call, isUnderWay }: { call: Call; isUnderWay: boolean }) {
  const t = useTexts("try");
  const [isMuted, setMuted] = useState(false);
  if (!isUnderWay)
    return (
      <Button
        look="primary"
        icon={Phone}
        needs="calls:write"
        onClick={() => {
          setMuted(false);
          call.place();
        }}
      >
        {call.phase === "idle" ? t.place : t.placeAgain}
      </Button>
    );
  return (
    <div className="flex gap-2">
      <Button
        icon={isMuted ? MicOff : Mic}
        aria-pressed={isMuted}
        off={call.phase === "connected" ? null : t.notYet}
        onClick={() => {
          setMuted(!isMuted);
          call.mute(!isMuted);
        }}
      >
        {isMuted ? t.unmute : t.mute}
      </Button>
      <Button look="danger" icon={PhoneOff} onClick={call.end}>
        {t.hangUp}
      </Button>
    </div>
  );
}

/** An utterance in which nothing was understood is shown only while it lasts. */
function isShown(line: Transcript[number]): boolean {
  return !line.isFinal || line.text.trim() !== "";
}

function LiveTranscript({ lines, tools, isUnderWay }: { lines: Transcript; tools: readonly Tool[]; isUnderWay: boolean }) {
  const t = useTexts("try");
  const end = useRef<HTMLLIElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [lines]);
  return (
    <Card title={t.transcript} isFlush>
      <div className="h-[calc(100dvh-24rem)] min-h-72 overflow-auto p-4" role="region" aria-label={t.transcript} tabIndex={0} data-quiet-focus>
        {lines.length === 0 && tools.length === 0 && (
          <Empty icon={Mic} title={isUnderWay ? t.listening : t.noTranscript}>
            {!isUnderWay && t.voiceLead}
          </Empty>
        )}
        <ol id="transcript" aria-label={t.transcript} className="space-y-2.5">
          {lines.filter(isShown).map((line) => (
            <li key={line.key} className={`grid grid-cols-[4.5rem_1fr] gap-3 ${line.isFinal ? "" : "unsaid"} ${line.role}`}>
              <span className={`font-medium ${line.role === "agent" ? "text-agent" : line.role === "caller" ? "text-caller" : "text-dim"}`}>{line.role === "agent" ? t.agent : line.role === "caller" ? t.you : t.system}</span>
              <span className={line.isFinal ? "" : "text-dim"}>
                {line.text || "…"} {line.isCut && <Badge tone="warn">{t.cut}</Badge>}
              </span>
            </li>
          ))}
          <li ref={end} aria-hidden />
        </ol>
        {tools.length > 0 && (
          <ul className="mt-4 space-y-2">
            {tools.map((each) => (
              <li key={each.id}>
                <ToolLine name={each.name} input={JSON.stringify(each.arguments ?? {})} output={each.result === null || each.result === undefined ? "" : JSON.stringify(each.result)} note={each.status} tone={each.status === "ok" ? "good" : each.status === "running" ? "info" : "bad"} durationMs={each.duration_ms} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </Card>
  );
}
