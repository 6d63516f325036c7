/** The recording as it is played: one audio element, by byte ranges; whoever needs to know is told, and nobody else renders. */
import { useEffect, useState, useSyncExternalStore } from "react";

export const RATES = [0.75, 1, 1.25, 1.5, 2] as const;

export class Playback {
  readonly audio: HTMLAudioElement;
  private readonly watchers = new Set<() => void>();
  private frame = 0;

  constructor(url: string) {
    this.audio = new Audio();
    // Who fetches a recording is in the audit log: it is fetched when somebody plays it, and its length is known without it.
    this.audio.preload = "none";
    this.audio.src = url;
    for (const event of ["play", "pause", "seeked", "ratechange", "loadedmetadata", "timeupdate", "error", "ended"]) this.audio.addEventListener(event, this.changed);
  }

  subscribe = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** Milliseconds since the recording's beginning. */
  get ms(): number {
    return Math.round(this.audio.currentTime * 1000);
  }

  get isPlaying(): boolean {
    return !this.audio.paused;
  }

  toggle(): void {
    if (this.isPlaying) this.audio.pause();
    else void this.audio.play().catch(() => undefined); // a failure is the element's `error`
  }

  seek(ms: number, isToPlay = false): void {
    const end = Number.isFinite(this.audio.duration) ? this.audio.duration : Infinity;
    this.audio.currentTime = Math.max(0, Math.min(end, ms / 1000));
    this.changed(); // before it is fetched, the element tells of no place
    if (isToPlay && !this.isPlaying) this.toggle();
  }

  setRate(rate: number): void {
    this.audio.playbackRate = rate;
  }

  leave(): void {
    cancelAnimationFrame(this.frame);
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load(); // ends the download
  }

  private readonly changed = (): void => {
    for (const watcher of this.watchers) watcher();
    if (this.isPlaying && !this.frame) this.frame = requestAnimationFrame(this.ticked);
  };

  private readonly ticked = (): void => {
    this.frame = 0;
    this.changed();
  };
}

/** One player a page; it stops when the page is left. */
export function usePlayback(url: string | null): Playback | null {
  const [playback, setPlayback] = useState<Playback | null>(null);
  useEffect(() => {
    if (!url) return undefined;
    const made = new Playback(url);
    setPlayback(made);
    return () => {
      made.leave();
      setPlayback(null);
    };
  }, [url]);
  return playback;
}

const NEVER = (): (() => void) => () => undefined;

/** Something of the playback; renders only when that changes. */
export function usePlaying<T extends string | number | boolean | null>(playback: Playback | null, read: (playback: Playback) => T, none: T): T {
  return useSyncExternalStore(playback?.subscribe ?? NEVER, () => (playback ? read(playback) : none));
}

/** Space plays and pauses, the arrows step, wherever on the page nothing else takes these keys. */
export function useArrowKeys(playback: Playback): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || document.querySelector('[role="dialog"]')) return;
      if (event.target instanceof HTMLElement && event.target.closest("input, textarea, select, button, a, summary, [role=menu], [contenteditable]")) return;
      if (event.key === " ") playback.toggle();
      else if (event.key === "ArrowLeft") playback.seek(playback.ms - 5000);
      else if (event.key === "ArrowRight") playback.seek(playback.ms + 5000);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [playback]);
}
