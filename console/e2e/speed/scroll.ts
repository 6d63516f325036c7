/** A list of a hundred thousand rows: gone through to its end, and back through pages that were dropped on the way. */
import type { Browser, CDPSession, Page } from "@playwright/test";
import { type Plan, heapMb, shown, visitor } from "./browser.ts";

const LATE_MS = 34;
/** Pixels a second: a page of the list twice a second and more. */
const SPEED = 4000;
const LIST = 'main [role=region]';

export interface Frames {
  frames: number;
  /** Longer than two of the screen's. */
  late: number;
  longest_ms: number;
  /** Frames in which a row in sight had not come yet. */
  blank: number;
  /** What the page's thread computed for a frame, by the thread's own clock: no other program's work is in it. */
  busy_ms: number;
  /** Rows in the page at most. */
  rows: number;
}

export interface Scrolled {
  down: Frames;
  up: Frames;
  rows: number;
  walk_seconds: number;
  /** From the last rows to the first, as the key Home does it. */
  home_ms: number;
  heap_before_mb: number;
  heap_after_mb: number;
}

export async function scrolling(browser: Browser, plan: Plan): Promise<Scrolled> {
  const { context, page, session } = await visitor(browser, plan);
  await page.goto(`${plan.url}/calls`);
  await shown(page, '[role=row][aria-rowindex="2"]');
  const before = await heapMb(session);
  const down = await swept(page, session, -plan.scroll_seconds * SPEED);
  const began = Date.now();
  const rows = await walk(page, plan.rows);
  const walked = (Date.now() - began) / 1000;
  const atEnd = await heapMb(session);
  const up = await swept(page, session, plan.scroll_seconds * SPEED);
  const home = await page.evaluate(async (selector) => {
    const from = performance.now();
    document.querySelector(selector)?.scrollTo({ top: 0 });
    return (await window.shown('[role=row][aria-rowindex="2"]')) - from;
  }, LIST);
  await context.close();
  return { down, up, rows, walk_seconds: walked, home_ms: home, heap_before_mb: before, heap_after_mb: atEnd };
}

/** Scroll by so many pixels as a wheel does, and watch every frame. */
async function swept(page: Page, session: CDPSession, distance: number): Promise<Frames> {
  await page.evaluate((selector) => {
    const seen = { frames: [] as number[], blank: 0, rows: 0, isOver: false };
    Object.assign(window, { seen });
    const list = document.querySelector(selector);
    const watch = (at: number): void => {
      if (seen.isOver) return;
      seen.frames.push(at);
      seen.rows = Math.max(seen.rows, list?.querySelectorAll("[role=row]").length ?? 0);
      const box = list?.getBoundingClientRect();
      if (box && [0.3, 0.7].some((share) => document.elementFromPoint(box.left + 60, box.top + box.height * share)?.closest("[aria-hidden]"))) seen.blank += 1;
      requestAnimationFrame(watch);
    };
    requestAnimationFrame(watch);
  }, LIST);
  const before = await busyMs(session);
  await session.send("Input.synthesizeScrollGesture", { x: 800, y: 500, yDistance: distance, speed: SPEED, gestureSourceType: "mouse", preventFling: true });
  const busy = (await busyMs(session)) - before;
  const found = await page.evaluate((late) => {
    const { seen } = window as unknown as { seen: { frames: number[]; blank: number; rows: number; isOver: boolean } };
    seen.isOver = true;
    const gaps = seen.frames.slice(1).map((at, nth) => at - (seen.frames[nth] ?? at));
    return { frames: gaps.length, late: gaps.filter((gap) => gap > late).length, longest_ms: Math.max(0, ...gaps), blank: seen.blank, rows: seen.rows };
  }, LATE_MS);
  return { ...found, busy_ms: busy / Math.max(1, found.frames) };
}

/** What the page's thread has computed since it began. */
async function busyMs(session: CDPSession): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return 1000 * (metrics.find((each) => each.name === "TaskDuration")?.value ?? 0);
}

/** To the end of the list, page by page, as fast as pages come. */
async function walk(page: Page, most: number): Promise<number> {
  return page.evaluate(
    async ({ selector, wanted }) => {
      const list = document.querySelector(selector);
      const rows = (): number => Number([...(list?.querySelectorAll("[aria-rowindex]") ?? [])].at(-1)?.getAttribute("aria-rowindex") ?? 0);
      if (!list) return 0;
      for (let [last, stillSince] = [0, performance.now()]; performance.now() - stillSince < 10_000; ) {
        list.scrollTop = list.scrollHeight;
        await new Promise((resolve) => requestAnimationFrame(resolve));
        const now = rows();
        if (now >= wanted || list.querySelector('[role=table]')?.getAttribute("aria-rowcount") !== "-1") break;
        if (now !== last) [last, stillSince] = [now, performance.now()];
      }
      return rows() - 1;
    },
    { selector: LIST, wanted: most },
  );
}
