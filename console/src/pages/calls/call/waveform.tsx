/** The recording as a picture: the caller above, the agent below, as they were heard. Imported by the call's page alone. */
import { useEffect, useMemo, useRef, useState } from "react";
import WaveSurfer from "wavesurfer.js";
import { useIsDark } from "@/app/theme";
import { useTexts } from "@/i18n";
import { nonce } from "@/lib/nonce";
import type { CallDetail } from "../queries";
import type { Known, Said } from "./events";
import type { Peaks } from "./peaks";
import type { Playback } from "./playback";
import { type Refused, type Why, whyText } from "./why";

const CHANNEL_PX = 44;
/** The last time at which a sound was heard is that of a frame's beginning. */
const FRAME_MS = 20;
/** The caller's channel, where it is marked what was judged over the agent; and the agent's: what it was cut off in, and what was not heard. */
const [CALLER, AGENT] = [0, 1];

interface Props {
  call: CallDetail;
  known: Known;
  playback: Playback;
  peaks: Peaks;
}

export function Waveform({ call, known, playback, peaks }: Props) {
  const t = useTexts("call");
  const place = useRef<HTMLDivElement>(null);
  const isDark = useIsDark();
  const regions = useMarks(call, known);
  useEffect(() => {
    const { current: container } = place;
    if (!container) return undefined;
    const drawn = draw(container, playback, peaks);
    drawn.on("interaction", (second) => playback.seek(second * 1000));
    drawn.getWrapper().append(...regions.map((each) => laidOver(each, peaks, each.why ? whyText(t, each.why) : "")));
    return () => drawn.destroy();
    // isDark: the canvas is drawn anew in the theme's colours.
  }, [playback, peaks, regions, isDark, t]);
  return (
    <figure className="mb-1.5">
      <div className="flex gap-3">
        <div aria-hidden className="flex min-w-12 shrink-0 flex-col text-right text-[11px] font-medium max-md:hidden">
          <span className="grid flex-1 items-center text-caller">{t.speakers.caller}</span>
          <span className="grid flex-1 items-center text-agent">{t.speakers.agent}</span>
        </div>
        <div ref={place} className="min-w-0 flex-1" style={{ height: peaks.channels.length * CHANNEL_PX }} />
      </div>
      <Legend regions={regions} />
      <figcaption className="sr-only">{t.waveform}</figcaption>
    </figure>
  );
}

/** The same ones as long as they say the same: they are drawn anew with the picture. */
function useMarks(call: CallDetail, known: Known): readonly Marked[] {
  const found = useMemo(() => marks(call, known), [call, known]);
  const [kept, setKept] = useState(found);
  if (kept === found || JSON.stringify(kept) === JSON.stringify(found)) return kept;
  setKept(found);
  return found;
}

function draw(container: HTMLElement, playback: Playback, peaks: Peaks): WaveSurfer {
  const channel = (name: string) => ({ waveColor: resolved(container, `color-mix(in srgb, var(${name}) 42%, var(--color-surface))`), progressColor: resolved(container, `var(${name})`), height: CHANNEL_PX });
  return WaveSurfer.create({
    container,
    media: playback.audio,
    peaks: peaks.channels,
    duration: peaks.seconds,
    height: CHANNEL_PX,
    cursorColor: resolved(container, "var(--color-ink)"),
    cursorWidth: 2,
    barWidth: 2,
    barGap: 1,
    barRadius: 1,
    dragToSeek: true,
    hideScrollbar: true,
    cspNonce: nonce(),
    splitChannels: peaks.channels.length > 1 ? [channel("--color-caller"), channel("--color-agent")] : [channel("--color-caller")],
  });
}

/** A colour of ours as a canvas takes it: `light-dark()` is for styles alone. */
function resolved(near: HTMLElement, colour: string): string {
  const probe = near.appendChild(document.createElement("i"));
  probe.style.color = colour;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function tint(name: string, share: number): string {
  return `color-mix(in srgb, var(${name}) ${share}%, transparent)`;
}

/** What is marked, and how. */
const MARKS = { judged: tint("--color-caller", 26), refused: tint("--color-line-strong", 60), over: tint("--color-warn", 40), unheard: tint("--color-bad", 32), resumed: tint("--color-info", 32), pause: tint("--color-line-strong", 35) } as const;
type MarkName = keyof typeof MARKS;

interface Marked {
  id: string;
  /** In seconds. */
  start: number;
  end: number;
  color: string;
  /** None for what concerns both. */
  channel: number | null;
  why?: Why | Refused;
}

/** A mark as a part of the picture: a click on it is one on the place under it. */
function laidOver(mark: Marked, { seconds, channels }: Peaks, title: string): HTMLElement {
  const element = document.createElement("div");
  const percent = (part: number, whole: number): string => `${Math.min(100, (100 * part) / (whole || 1))}%`;
  const isAcrossAll = mark.channel === null || channels.length === 1;
  Object.assign(element.style, {
    position: "absolute",
    zIndex: "3", // over the bars, below the cursor
    left: percent(mark.start, seconds),
    width: percent(Math.min(mark.end, seconds) - mark.start, seconds),
    minWidth: "1px",
    top: isAcrossAll ? "0" : percent(mark.channel ?? 0, channels.length),
    height: isAcrossAll ? "100%" : percent(1, channels.length),
    background: mark.color,
    borderRadius: "2px",
  });
  element.title = title;
  return element;
}

function Legend({ regions }: { regions: readonly Marked[] }) {
  const t = useTexts("call");
  const names = (Object.keys(MARKS) as MarkName[]).filter((name) => regions.some((region) => region.id.startsWith(`${name} `)));
  if (names.length === 0) return null;
  return (
    <ul className="mt-1 flex flex-wrap gap-x-4 text-[11px] text-dim md:ml-15">
      {names.map((name) => (
        <li key={name} className="flex items-center gap-1.5">
          <span aria-hidden className="size-2.5 rounded-sm" style={{ background: MARKS[name] }} />
          {t.marks[name]}
        </li>
      ))}
    </ul>
  );
}

/** What of the caller was judged over the agent, where it was spoken over, what of its turn nobody heard any more, and where nothing was recorded. */
export function marks(call: Pick<CallDetail, "recording_pauses">, known: Known): Marked[] {
  const turns = new Map([...known.items.values()].filter((item): item is Said => item.kind === "said" && item.seq !== null).map((said) => [said.seq, said]));
  const found: Marked[] = [];
  const add = (name: MarkName, from: number, to: number, channel: number | null = null, why?: Why | Refused): void => {
    if (to > from) found.push({ id: `${name} ${from}`, start: from / 1000, end: to / 1000, color: MARKS[name], channel, ...(why && { why }) });
  };
  for (const each of known.interruptions) {
    const turn = each.turn_seq === null ? undefined : turns.get(each.turn_seq);
    // The turn may be on a page that isn't here: the interruption itself says where it is.
    const [begin, end] = [turn?.atMs ?? each.turn_start_ms, turn?.endMs ?? each.turn_end_ms];
    const heardTo = begin === null ? 0 : begin + each.heard_ms;
    const overTo = Math.max(each.at_ms + each.reaction_ms, heardTo);
    const { onset, reason, spoken_ms } = each;
    add("judged", each.at_ms, each.decided_ms ?? 0, CALLER, { onset, reason, spoken_ms });
    add(each.verdict === "cut" ? "over" : "resumed", each.at_ms, overTo, AGENT);
    if (each.verdict === "cut") add("unheard", overTo, end ?? 0, AGENT);
  }
  for (const { at_ms, until_ms, onset, reason } of known.refused) add("refused", at_ms, until_ms + FRAME_MS, CALLER, { onset, refusal: reason });
  for (const pause of call.recording_pauses) add("pause", pause.start_ms, pause.end_ms ?? pause.start_ms + 1000);
  return found;
}
