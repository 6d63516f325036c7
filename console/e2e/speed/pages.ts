/** How long a page takes: asked for by somebody who never was here, and by a click of one who works. */
import type { Browser, Page } from "@playwright/test";
import { type Plan, shown, visitor } from "./browser.ts";

/** The pages that are measured, and the first thing on each that somebody came for. */
const PAGES = {
  "/calls": '[role=row][aria-rowindex="2"] [role=cell]',
  "/inbox": "a[data-row]",
  "/": 'main li a[href^="/calls/"]',
} as const;
type Path = keyof typeof PAGES;
const PATHS = Object.keys(PAGES) as Path[];

export interface Load {
  ms: number;
  requests: number;
  kilobytes: number;
}

export async function coldLoads(browser: Browser, plan: Plan): Promise<Record<string, Load[]>> {
  const found: Record<string, Load[]> = {};
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const path of PATHS) {
      const { context, page } = await visitor(browser, plan);
      await page.goto(`${plan.url}${path}`, { waitUntil: "commit" });
      const ms = await shown(page, PAGES[path]);
      (found[path] ??= []).push({ ms, ...(await fetched(page, ms)) });
      if (process.env["WATERFALL"] && round === 0) console.error(path, ms, await waterfall(page));
      await context.close();
    }
  }
  return found;
}

/** What was fetched until then. */
function fetched(page: Page, until: number): Promise<{ requests: number; kilobytes: number }> {
  return page.evaluate((end) => {
    const all = performance.getEntriesByType("resource").filter((each) => each.startTime < end) as PerformanceResourceTiming[];
    return { requests: all.length + 1, kilobytes: all.reduce((sum, each) => sum + each.transferSize, 0) / 1000 };
  }, until);
}

function waterfall(page: Page): Promise<string> {
  return page.evaluate(() =>
    (performance.getEntriesByType("resource") as PerformanceResourceTiming[])
      .map((each) => `\n${each.startTime.toFixed(0).padStart(6)} ${each.responseEnd.toFixed(0).padStart(6)} ${(each.transferSize / 1000).toFixed(1).padStart(6)} ${each.name.replace(/^https?:..[^/]+/, "")}`)
      .join(""),
  );
}

export interface Clicks {
  /** The first visit of each page after the frame was shown. */
  first: number[];
  /** Every further one. */
  warm: number[];
}

export async function clicks(browser: Browser, plan: Plan): Promise<Clicks> {
  const { context, page } = await visitor(browser, plan);
  await page.goto(`${plan.url}/`);
  await shown(page, PAGES["/"]);
  const found: Clicks = { first: [], warm: [] };
  for (let lap = 0; lap <= plan.rounds; lap += 1) {
    for (const path of PATHS) {
      if (lap === 0 && path === "/") continue;
      const ms = await click(page, path);
      (lap === 0 ? found.first : found.warm).push(ms);
    }
    if (lap === 0) await click(page, "/");
  }
  await context.close();
  return found;
}

async function click(page: Page, path: Path): Promise<number> {
  await page.evaluate((selector) => {
    Object.assign(window, { waited: window.shown(selector) });
  }, PAGES[path]);
  await page.locator(`nav a[href="${path}"]`).click();
  return page.evaluate(async () => (await (window as unknown as { waited: Promise<number> }).waited) - window.clickedAt);
}
