/** Listening to a live call: an endless WAV, read as it comes and played a moment later. */
import { useCallback, useEffect, useRef, useState } from "react";
import { readError } from "@/api/client";
import { asApiError } from "@/api/queries";
import { toast } from "@/ui/toast";

const HEAD_BYTES = 44;
const FRAME_BYTES = 4; // two channels of 16 bits
const RATE_HZ = 8000;
/** How far behind the server's sound plays, so that small gaps of the network aren't heard; and when to catch up. */
const AHEAD_SECONDS = 0.25;
const BEHIND_SECONDS = 1.5;

/** Samples of both channels, from 16-bit little-endian frames. `rest` are the bytes of a frame that is not complete yet. */
export function framesOf(bytes: Uint8Array): { left: Float32Array<ArrayBuffer>; right: Float32Array<ArrayBuffer>; rest: Uint8Array } {
  const count = Math.floor(bytes.length / FRAME_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [left, right] = [new Float32Array(count), new Float32Array(count)];
  for (let at = 0; at < count; at += 1) {
    left[at] = view.getInt16(at * FRAME_BYTES, true) / 32_768;
    right[at] = view.getInt16(at * FRAME_BYTES + 2, true) / 32_768;
  }
  return { left, right, rest: bytes.slice(count * FRAME_BYTES) };
}

/** Plays one piece after the other; what lies too far ahead is given up, so that nothing plays over it. */
export class Played {
  #due = Number.NEGATIVE_INFINITY;
  #pieces = new Set<AudioBufferSourceNode>();

  constructor(private readonly context: AudioContext) {}

  add(buffer: AudioBuffer): void {
    const now = this.context.currentTime;
    const isLate = this.#due < now;
    if (!isLate && this.#due > now + BEHIND_SECONDS) {
      for (const piece of this.#pieces) piece.stop();
      this.#pieces.clear();
      this.#due = now;
    } else if (isLate) this.#due = now + AHEAD_SECONDS;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    source.addEventListener("ended", () => this.#pieces.delete(source));
    this.#pieces.add(source);
    source.start(this.#due);
    this.#due += buffer.duration;
  }
}

/** Read the stream to its end and hand out what is heard; both channels in the middle would hide who speaks, so they stay apart a little. */
async function play(id: string, context: AudioContext, signal: AbortSignal): Promise<void> {
  const response = await fetch(`/api/calls/${encodeURIComponent(id)}/listen`, { signal });
  if (!response.ok || !response.body) throw await readError(response);
  const reader = response.body.getReader();
  const played = new Played(context);
  let skip = HEAD_BYTES;
  let rest: Uint8Array = new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const fresh = value.subarray(Math.min(skip, value.length));
    skip -= value.length - fresh.length;
    const bytes = new Uint8Array(rest.length + fresh.length);
    bytes.set(rest);
    bytes.set(fresh, rest.length);
    const frames = framesOf(bytes);
    rest = frames.rest;
    if (frames.left.length === 0) continue;
    const buffer = context.createBuffer(2, frames.left.length, RATE_HZ);
    buffer.copyToChannel(frames.left, 0);
    buffer.copyToChannel(frames.right, 1);
    played.add(buffer);
  }
}

/** Whether one listens to a call, and the way to begin and to stop. Leaving the page stops it too. */
export function useListening(id: string): { isListening: boolean; toggle: () => void } {
  const [isListening, setListening] = useState(false);
  const stop = useRef<AbortController>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const toggle = useCallback(() => {
    if (stop.current) {
      stop.current.abort();
      return;
    }
    const controller = new AbortController();
    stop.current = controller;
    setListening(true);
    const context = new AudioContext({ sampleRate: RATE_HZ });
    play(id, context, controller.signal)
      .catch((error: unknown) => {
        if (!controller.signal.aborted) toast.refusal(asApiError(error));
      })
      .finally(() => {
        stop.current = null;
        setListening(false);
        void context.close();
      });
  }, [id]);
  return { isListening, toggle };
}
