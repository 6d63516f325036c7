import { expect, it } from "vitest";
import { Played, framesOf } from "./listen";

it("reads both channels, and keeps a frame that is cut for the next piece", () => {
  const bytes = new Uint8Array([0, 64, 0, 192, 255, 127, 0, 128, 7]);
  const { left, right, rest } = framesOf(bytes);
  expect([...left].map((each) => Math.round(each * 100) / 100)).toEqual([0.5, 1]);
  expect([...right]).toEqual([-0.5, -1]);
  expect([...rest]).toEqual([7]);
});

it("reads from within a larger buffer", () => {
  const whole = new Uint8Array([9, 9, 9, 0, 64, 0, 64]);
  expect([...framesOf(whole.subarray(3)).left]).toEqual([0.5]);
});

it("gives up what lies too far ahead, and plays nothing over it", () => {
  const sounds: { from: number; until: number }[] = [];
  let now = 0;
  const context = {
    get currentTime() {
      return now;
    },
    createBufferSource: () => {
      const sound = { from: 0, until: 0 };
      sounds.push(sound);
      return {
        buffer: { duration: 0 },
        connect: () => undefined,
        addEventListener: () => undefined,
        start(at: number) {
          Object.assign(sound, { from: at, until: at + this.buffer.duration });
        },
        stop: () => Object.assign(sound, { until: Math.min(sound.until, Math.max(sound.from, now)) }),
      };
    },
  };
  const played = new Played(context as unknown as AudioContext);
  for (const [at, seconds] of [[0, 0.2], [0.1, 0.2], [0.2, 2], [0.3, 0.2], [0.4, 0.2]] as const) {
    now = at;
    played.add({ duration: seconds } as AudioBuffer);
  }
  const heard = sounds.filter(({ from, until }) => until > from).toSorted((a, b) => a.from - b.from);
  for (const [at, sound] of heard.entries()) expect(heard[at + 1]?.from ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(sound.until - 1e-9);
  expect(heard.at(-1)?.until).toBeLessThan(1.5);
});
