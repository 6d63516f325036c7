/** The lines of a transcript: what was said, which tools ran, who told the agent what, where the call went. */
import { ArrowRightLeft, Bot, Grid3x3, Info, type LucideIcon, Megaphone, MessageSquareText, Mic, PhoneForwarded, Wrench } from "lucide-react";
import type { ReactNode } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useFlowName } from "@/api/flows";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { clockTime, phone } from "@/lib/format";
import { Badge, type Tone } from "@/ui/layout";
import { type Item, type Said, heardAndNot } from "./events";
import { Folded } from "./folded";

interface LineProps {
  item: Item;
  latency: Schemas["TurnLatency"] | undefined;
  isPlaying: boolean;
  /** Play the recording from there; null when there is none. */
  play: ((ms: number) => void) | null;
}

export function ItemLine({ item, latency, isPlaying, play }: LineProps) {
  switch (item.kind) {
    case "said":
      return <SaidLine said={item} latency={latency} isPlaying={isPlaying} play={play} />;
    case "tool":
      return <ToolLine atMs={item.atMs} tool={item.tool} />;
    case "told":
      return <ToldLine atMs={item.atMs} told={item.told} />;
    case "transfer":
      return <TransferLine atMs={item.atMs} transfer={item.transfer} />;
    case "switched":
      return <SwitchedLine atMs={item.atMs} to={item.to} />;
    case "keys":
      return <KeysLine atMs={item.atMs} keys={item.keys} />;
    case "message":
      return <MessageLine atMs={item.atMs} isOver={item.isOver} />;
  }
}

const COLOURS = { caller: "text-caller", agent: "text-agent", system: "text-dim" } as const;

function SaidLine({ said, latency, isPlaying, play }: { said: Said } & Omit<LineProps, "item">) {
  const t = useTexts("call");
  const [heard, unheard] = heardAndNot(said);
  const isOpen = said.seq === null;
  return (
    <div className={`group rounded-card px-3 py-2 ${isPlaying ? "bg-accent-soft" : ""}`} aria-current={isPlaying || undefined}>
      <div className="flex h-5 items-center gap-2 text-xs">
        <span className={`font-semibold ${COLOURS[said.role]}`}>{t.speakers[said.role]}</span>
        <At ms={said.atMs} play={play} />
        {isOpen && <Speaking />}
        {said.isInterrupted && <Badge tone="warn">{t.interrupted}</Badge>}
        {latency && <Latency latency={latency} />}
      </div>
      {/* By keyboard, the time above does the same; a button would keep its words from being chosen and copied. */}
      {/* oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions */}
      <p
        className={`mt-0.5 whitespace-pre-wrap ${said.role === "system" ? "text-dim italic" : ""} ${play ? "cursor-pointer" : ""}`}
        onClick={() => {
          const isChoosingWords = getSelection()?.isCollapsed === false;
          if (!isChoosingWords) play?.(said.atMs);
        }}
      >
        {heard}
        {unheard && (
          <>
            <span className="sr-only"> {t.notHeard} </span>
            <del className="text-dim decoration-1" title={t.notHeard}>
              {unheard}
            </del>
          </>
        )}
        {!said.text && <span className="text-dim">{isOpen ? "…" : t.notUnderstood}</span>}
      </p>
    </div>
  );
}

function Speaking() {
  const t = useTexts("call");
  return (
    <span className="flex items-end gap-0.5" aria-label={t.speaking} role="img">
      {[0, 150, 300].map((delay) => (
        <span key={delay} className="h-2.5 w-0.5 animate-[hum-pulse_0.9s_infinite] rounded-full bg-current" style={{ animationDelay: `${delay}ms` }} />
      ))}
    </span>
  );
}

/** From the caller's last word to the answer: a chip that says whose time it was. */
function Latency({ latency }: { latency: Schemas["TurnLatency"] }) {
  const t = useTexts("call");
  const isSlow = latency.first_sound_ms > 1500;
  return (
    <span className={`tabular ml-auto rounded print:hidden px-1.5 ${isSlow ? "bg-warn-soft text-warn" : "bg-sunken text-dim"}`} title={t.latencyOf(latency.first_sound_ms, latency.first_answer_ms, latency.ours_ms, latency.model_ms)}>
      {t.ms(latency.first_sound_ms)}
    </span>
  );
}

/** Where it is in the call; with a recording, a click plays from there. */
export function At({ ms, play = null }: { ms: number; play?: ((ms: number) => void) | null }) {
  const t = useTexts("call");
  const text = clockTime(ms / 1000);
  if (!play) return <span className="tabular text-dim">{text}</span>;
  return (
    <button type="button" className="tabular rounded px-1 text-dim hover:bg-hover hover:text-ink hover:underline" aria-label={t.playFrom(text)} title={t.playFrom(text)} onClick={() => play(ms)}>
      {text}
    </button>
  );
}

/** A line that is no speech. `isInternal`: how the agent worked, which is not put on paper. */
export function SideLine({ icon: Icon, atMs, title, badge, isInternal = false, children }: { icon: LucideIcon; atMs: number; title: ReactNode; badge?: ReactNode; isInternal?: boolean; children?: ReactNode }) {
  return (
    <div className={`my-1 rounded-card border border-line bg-canvas px-3 py-1.5 text-[13px] ${isInternal ? "print:hidden" : ""}`}>
      <div className="flex min-h-6 flex-wrap items-center gap-x-2">
        <Icon size={14} aria-hidden className="shrink-0 text-dim" />
        <span className="min-w-0 font-medium">{title}</span>
        <span className="text-xs">
          <At ms={atMs} />
        </span>
        <span className="ml-auto flex items-center gap-2">{badge}</span>
      </div>
      {children}
    </div>
  );
}

const TOOL_TONES: Record<string, Tone> = { running: "info", ok: "good", failed: "bad", lost: "bad" };

function ToolLine({ atMs, tool }: { atMs: number; tool: Schemas["ToolActivity"] }) {
  const t = useTexts("call");
  return (
    <SideLine
      icon={Wrench}
      atMs={atMs}
      title={<code className="font-mono">{tool.name}</code>}
      isInternal
      badge={
        <>
          {tool.duration_ms !== null && <span className="tabular text-xs text-dim">{t.ms(tool.duration_ms)}</span>}
          <Badge tone={TOOL_TONES[tool.status] ?? "plain"} isLive={tool.status === "running"}>
            {t.toolStatuses[tool.status] ?? tool.status}
          </Badge>
        </>
      }
    >
      <Folded label={t.arguments} value={tool.arguments} />
      {tool.status !== "running" && <Folded label={t.result} value={tool.result} />}
    </SideLine>
  );
}

function ToldLine({ atMs, told }: { atMs: number; told: Schemas["Intervention"] }) {
  const t = useTexts("call");
  const icon = told.kind === "say" ? Megaphone : told.kind === "news" ? Info : MessageSquareText;
  return (
    <SideLine icon={icon} atMs={atMs} title={t.told[told.kind] ?? told.kind} badge={<span className="text-xs text-dim">{told.by}</span>}>
      <p className="pb-1 whitespace-pre-wrap">{told.text}</p>
    </SideLine>
  );
}

const TRANSFER_TONES: Record<Schemas["TransferState"], Tone> = {
  ringing: "info",
  answered: "info",
  connected: "good",
  completed: "good",
  busy: "warn",
  no_answer: "warn",
  not_accepted: "warn",
  failed: "bad",
  canceled: "plain",
};

/** Who asked for a transfer, by name: the record has the agent, or the id of a person or an API key. */
function useAsker(who: string): string {
  const t = useTexts("call");
  const members = useThing(["team", "all"], (signal) => data(api.GET("/api/team", { params: { query: { limit: 200 } }, signal })), { enabled: useCan("team:read") && who.startsWith("user:") });
  if (who === "agent") return t.askedByAgent;
  if (who.startsWith("key:")) return t.askedByKey;
  const member = members.data?.members.find((each) => `user:${each.user_id}` === who);
  return t.askedBy(member?.name ?? member?.email ?? t.colleague);
}

function TransferLine({ atMs, transfer }: { atMs: number; transfer: Schemas["Transfer"] }) {
  const t = useTexts("call");
  const asker = useAsker(transfer.asked_by);
  return (
    <SideLine icon={PhoneForwarded} atMs={atMs} title={t.transferTo(transfer.label ?? phone(transfer.to))} badge={<Badge tone={TRANSFER_TONES[transfer.state]}>{t.transferStates[transfer.state]}</Badge>}>
      <p className="pb-1 text-dim">{[asker, transfer.talked_seconds !== null && t.talked(clockTime(transfer.talked_seconds))].filter(Boolean).join(" · ")}</p>
      {transfer.summary && <p className="pb-1">{transfer.summary}</p>}
    </SideLine>
  );
}

function SwitchedLine({ atMs, to }: { atMs: number; to: Schemas["FlowSwitched"] }) {
  const t = useTexts("call");
  const name = useFlowName();
  return <SideLine icon={ArrowRightLeft} atMs={atMs} title={t.switchedTo(name(to.flow_id) ?? t.anotherAgent)} badge={<Badge>{t.version(to.flow_version)}</Badge>} />;
}

function KeysLine({ atMs, keys }: { atMs: number; keys: string }) {
  const t = useTexts("call");
  return (
    <SideLine
      icon={Grid3x3}
      atMs={atMs}
      title={
        <>
          {t.keypad} <code className="font-mono">{keys}</code>
        </>
      }
    />
  );
}

function MessageLine({ atMs, isOver }: { atMs: number; isOver: boolean }) {
  const t = useTexts("call");
  return <SideLine icon={isOver ? Bot : Mic} atMs={atMs} title={isOver ? t.messageOver : t.messageBegun} />;
}
