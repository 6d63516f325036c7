/** The peaks of a recording, as the server made them: nothing is decoded here, however long the call. */
import { useQuery } from "@tanstack/react-query";
import { readError } from "@/api/client";

export interface Peaks {
  /** From 0 to 1, one list a channel. */
  channels: Float32Array[];
  seconds: number;
}

const HEAD_BYTES = 12;
const NAME = "HUMP";

/** Reads the file: `HUMP`, version, channels, peaks a second, peaks of each channel; then one channel after the other, a byte each. */
export function readPeaks(file: ArrayBuffer): Peaks {
  const head = new DataView(file);
  const isOurs = file.byteLength >= HEAD_BYTES && [...NAME].every((letter, at) => head.getUint8(at) === letter.charCodeAt(0)) && head.getUint8(4) === 1;
  if (!isOurs) throw new Error("these are no peaks");
  const [channels, aSecond, count] = [head.getUint8(5), head.getUint16(6, true), head.getUint32(8, true)];
  if (channels === 0 || aSecond === 0 || file.byteLength < HEAD_BYTES + channels * count) throw new Error("the peaks are incomplete");
  return {
    channels: Array.from({ length: channels }, (_, at) => Float32Array.from(new Uint8Array(file, HEAD_BYTES + at * count, count), (peak) => peak / 255)),
    seconds: count / aSecond,
  };
}

/** How long a recording is said to be: as its call, where they differ by less than half a second and what whole seconds leave out. */
export function shownLength(seconds: number, callSeconds: number | null): number {
  return callSeconds !== null && seconds > callSeconds - 0.5 && seconds < callSeconds + 1.5 ? callSeconds : seconds;
}

export function usePeaks(callId: string, of: "calls" | "voicemails" = "calls", isWanted = true) {
  return useQuery({
    queryKey: ["peaks", of, callId],
    queryFn: async ({ signal }) => {
      const response = await fetch(`/api/${of}/${encodeURIComponent(callId)}/peaks`, { signal });
      if (!response.ok) throw await readError(response);
      return readPeaks(await response.arrayBuffer());
    },
    enabled: isWanted,
    staleTime: Infinity,
    retry: false,
  });
}
