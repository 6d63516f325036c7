/** A message's sound: its picture when there is one, a slider otherwise. */
import { Download, Pause, Play } from "lucide-react";
import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { clockTime } from "@/lib/format";
import { RATES, type Playback, useArrowKeys, usePlayback, usePlaying } from "@/pages/calls/call/playback";
import { IconButton } from "@/ui/button";

export function MessagePlayer({ voicemail, onEnded }: { voicemail: Schemas["Voicemail"]; onEnded: () => void }) {
  const url = `/api/voicemails/${voicemail.id}/audio`;
  const playback = usePlayback(url);
  useEffect(() => {
    playback?.audio.addEventListener("ended", onEnded);
    return () => playback?.audio.removeEventListener("ended", onEnded);
  }, [playback, onEnded]);
  if (!playback) return <div className="h-11" />;
  return <Controls playback={playback} url={url} seconds={voicemail.duration_ms / 1000} />;
}

function Controls({ playback, url, seconds }: { playback: Playback; url: string; seconds: number }) {
  const t = useTexts("call");
  const isPlaying = usePlaying(playback, (each) => each.isPlaying, false);
  const tenths = usePlaying(playback, (each) => Math.round(each.audio.currentTime * 10), 0);
  const rate = usePlaying(playback, (each) => each.audio.playbackRate, 1);
  const hasFailed = usePlaying(playback, (each) => each.audio.error !== null, false);
  useArrowKeys(playback);
  if (hasFailed) {
    return (
      <p role="alert" className="text-bad">
        {t.cantPlay}
      </p>
    );
  }
  return (
    <div className="flex items-center gap-1.5 rounded-card border border-line bg-canvas py-1 pr-1 pl-1">
      <IconButton icon={isPlaying ? Pause : Play} label={isPlaying ? t.pause : t.play} onClick={() => playback.toggle()} />
      <input
        type="range"
        aria-label={t.position}
        aria-valuetext={clockTime(tenths / 10)}
        min={0}
        max={Math.ceil(seconds * 10)}
        value={tenths}
        className="h-8 min-w-12 flex-1 accent-accent"
        onChange={(event) => playback.seek(Number(event.target.value) * 100)}
      />
      <span className="tabular text-[13px] whitespace-nowrap text-dim">
        {clockTime(tenths / 10)} / {clockTime(seconds)}
      </span>
      <select aria-label={t.speed} value={rate} onChange={(event) => playback.setRate(Number(event.target.value))} className="h-8 rounded-control border border-line bg-surface px-1 text-[13px] max-md:h-11">
        {RATES.map((each) => (
          <option key={each} value={each}>
            {each}×
          </option>
        ))}
      </select>
      <a href={url} download aria-label={t.downloadRecording} title={t.downloadRecording} className="grid size-9 place-items-center rounded-control text-dim hover:bg-hover hover:text-ink">
        <Download size={16} aria-hidden />
      </a>
    </div>
  );
}
