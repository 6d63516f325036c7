/** The recording: two channels as a picture, what was interrupted and not recorded marked, and the usual keys. */
import { Download, Pause, Play, SkipBack, SkipForward } from "lucide-react";
import { useMemo } from "react";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { clockTime } from "@/lib/format";
import { IconButton } from "@/ui/button";
import type { CallDetail } from "../queries";
import type { Known } from "./events";
import { shownLength, usePeaks } from "./peaks";
import { type Playback, RATES, useArrowKeys, usePlaying } from "./playback";
import { Waveform } from "./waveform";

const STEP_MS = 5000;

export default function Player({ call, known, playback, url }: { call: CallDetail; known: Known; playback: Playback; url: string }) {
  const t = useTexts("call");
  const peaks = usePeaks(call.id);
  const hasFailed = usePlaying(playback, (each) => each.audio.error !== null, false);
  usePlayerCommands(playback);
  return (
    <section aria-label={t.recording} className="border-b border-line bg-surface px-4 py-2.5 max-md:px-3 print:hidden">
      {peaks.data && <Waveform call={call} known={known} playback={playback} peaks={peaks.data} />}
      {peaks.isPending && <div className="mb-2 h-24 rounded bg-sunken" aria-hidden />}
      {hasFailed ? (
        <p role="alert" className="py-1.5 text-bad">
          {t.cantPlay}
        </p>
      ) : (
        <Controls playback={playback} url={url} seconds={peaks.data?.seconds ?? call.duration_seconds ?? 0} callSeconds={call.duration_seconds} isWithSlider={!peaks.data} />
      )}
      {call.recording_fault && <p className="pt-1 text-xs text-warn">{t.recordingFault(call.recording_fault)}</p>}
    </section>
  );
}

function Controls({ playback, url, seconds, callSeconds, isWithSlider }: Place & { url: string; isWithSlider: boolean }) {
  const t = useTexts("call");
  const isPlaying = usePlaying(playback, (each) => each.isPlaying, false);
  const rate = usePlaying(playback, (each) => each.audio.playbackRate, 1);
  return (
    <div className="flex items-center gap-1">
      <IconButton icon={SkipBack} label={t.back5} onClick={() => playback.seek(playback.ms - STEP_MS)} />
      <IconButton icon={isPlaying ? Pause : Play} label={isPlaying ? t.pause : t.play} onClick={() => playback.toggle()} />
      <IconButton icon={SkipForward} label={t.forward5} onClick={() => playback.seek(playback.ms + STEP_MS)} />
      <Clock playback={playback} seconds={seconds} callSeconds={callSeconds} />
      {isWithSlider && <Slider playback={playback} seconds={seconds} callSeconds={callSeconds} />}
      <span className="flex-1" />
      <select aria-label={t.speed} value={rate} onChange={(event) => playback.setRate(Number(event.target.value))} className="h-8 rounded-control border border-line bg-surface px-1.5 text-[13px] max-md:h-11">
        {RATES.map((each) => (
          <option key={each} value={each}>
            {each}×
          </option>
        ))}
      </select>
      <a href={url} download aria-label={t.downloadRecording} title={t.downloadRecording} className="grid size-9 place-items-center rounded-control text-dim hover:bg-hover hover:text-ink max-md:size-11">
        <Download size={17} aria-hidden />
      </a>
    </div>
  );
}

interface Place {
  playback: Playback;
  /** How long it is, as long as it isn't fetched. */
  seconds: number;
  /** How long the call was: a recording of about that length is shown as that long, as everywhere else. */
  callSeconds: number | null;
}

function useLength({ playback, seconds, callSeconds }: Place): number {
  const length = usePlaying(playback, (each) => (Number.isFinite(each.audio.duration) ? each.audio.duration : seconds), seconds);
  return shownLength(length, callSeconds);
}

function Clock(place: Place) {
  const second = usePlaying(place.playback, (each) => Math.floor(each.audio.currentTime), 0);
  const length = useLength(place);
  return (
    <span className="tabular px-1.5 text-[13px] whitespace-nowrap text-dim">
      <span className="text-ink">{clockTime(second)}</span> / {clockTime(length)}
    </span>
  );
}

/** Where there is no picture to click. */
function Slider(place: Place) {
  const t = useTexts("call");
  const { playback } = place;
  const second = usePlaying(playback, (each) => Math.floor(each.audio.currentTime), 0);
  const length = Math.ceil(useLength(place));
  return <input type="range" aria-label={t.position} aria-valuetext={clockTime(second)} min={0} max={length} value={second} className="h-8 min-w-20 flex-[20] accent-accent" onChange={(event) => playback.seek(Number(event.target.value) * 1000)} />;
}

function usePlayerCommands(playback: Playback): void {
  const t = useTexts("call");
  const list = useMemo<Command[]>(() => {
    const faster = (by: number): void => {
      const at = RATES.findIndex((rate) => rate === playback.audio.playbackRate);
      playback.setRate(RATES[Math.min(RATES.length - 1, Math.max(0, (at < 0 ? 1 : at) + by))] ?? 1);
    };
    return [
      { id: "play", label: t.playOrPause, keys: "p", run: () => playback.toggle() },
      { id: "back", label: t.back5, keys: "[", run: () => playback.seek(playback.ms - STEP_MS) },
      { id: "forward", label: t.forward5, keys: "]", run: () => playback.seek(playback.ms + STEP_MS) },
      { id: "slower", label: t.slower, keys: "<", run: () => faster(-1) },
      { id: "faster", label: t.faster, keys: ">", run: () => faster(1) },
    ];
  }, [t, playback]);
  useCommands(list);
  useArrowKeys(playback);
}
