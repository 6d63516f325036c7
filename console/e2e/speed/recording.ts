/** A recording of an hour: how soon it is a picture and can be heard, and what it costs in memory. */
import type { Browser } from "@playwright/test";
import { type Plan, heapMb, rendererMb, shown, visitor } from "./browser.ts";

export interface Opened {
  waveform_ms: number;
  /** Its length is known and its controls act. */
  ready_ms: number;
  /** From the press of the button to sound. */
  play_ms: number;
  /** Of the renderer, from the list to the recording that plays at its fiftieth minute. */
  memory_mb: number;
  heap_mb: number;
}

declare global {
  interface Window {
    players: HTMLAudioElement[];
    moments: { waveform: Promise<number>; ready: Promise<number> };
  }
}

export async function recordings(browser: Browser, plan: Plan): Promise<Opened[]> {
  const found: Opened[] = [];
  for (let round = 0; round < plan.rounds; round += 1) found.push(await open(browser, plan));
  return found;
}

async function open(browser: Browser, plan: Plan): Promise<Opened> {
  const { context, page, session } = await visitor(browser, plan);
  await page.addInitScript(watchPlayers);
  await page.goto(`${plan.url}/calls`);
  await shown(page, '[role=row][aria-rowindex="2"]');
  const [heapBefore, before] = [await heapMb(session), await rendererMb(browser)];
  await page.evaluate(lookForPlayer);
  await page.locator(`a[href="/calls/${plan.hour_call}"]`).first().click();
  const { waveform, ready } = await page.evaluate(async () => ({ waveform: (await window.moments.waveform) - window.clickedAt, ready: (await window.moments.ready) - window.clickedAt }));
  const began = await page.evaluate(() => {
    const audio = window.players.at(-1);
    Object.assign(window, { sounds: new Promise((resolve) => audio?.addEventListener("playing", () => resolve(performance.now()), { once: true })) });
    return audio?.duration ?? 0;
  });
  if (began < 3500) throw new Error(`the recording has ${began} s`);
  await page.getByRole("button", { name: "Play", exact: true }).click();
  const play = await page.evaluate(async () => (await (window as unknown as { sounds: Promise<number> }).sounds) - window.clickedAt);
  await page.evaluate(async () => {
    const audio = window.players.at(-1);
    if (!audio) throw new Error("nothing plays");
    audio.currentTime = 3000;
    for (let last = -1; audio.currentTime < 3003; last = audio.currentTime) await new Promise((resolve) => setTimeout(resolve, last === audio.currentTime ? 200 : 100));
  });
  const [heap, after] = [await heapMb(session), await rendererMb(browser)];
  await context.close();
  return { waveform_ms: waveform, ready_ms: ready, play_ms: play, memory_mb: after - before, heap_mb: heap - heapBefore };
}

/** Keeps what plays: it is no part of the page. */
function watchPlayers(): void {
  window.players = [];
  const Player = window.Audio;
  window.Audio = function make(source?: string) {
    const audio = new Player(source);
    window.players.push(audio);
    return audio;
  } as unknown as typeof Audio;
}

/** When the picture has more than its ground, and when the recording says how long it is. */
function lookForPlayer(): void {
  const until = (is: () => boolean): Promise<number> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (is()) requestAnimationFrame(() => resolve(performance.now()));
        else requestAnimationFrame(look);
      };
      look();
    });
  const isDrawn = (): boolean => {
    const host = [...document.querySelectorAll("figure div")].find((each) => each.shadowRoot);
    const canvas = host?.shadowRoot?.querySelector<HTMLCanvasElement>(".canvases canvas");
    if (!canvas || canvas.width === 0) return false;
    const { data } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: new Uint8ClampedArray() };
    return data.some((value) => value > 0);
  };
  window.moments = { waveform: until(isDrawn), ready: until(() => (window.players.at(-1)?.readyState ?? 0) >= 1 && document.querySelector('main button[aria-label="Play"]') !== null) };
}
