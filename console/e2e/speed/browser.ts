/** A browser that measures: on a line of 10 Mbit/s, with clocks in the page that say when something was really shown. */
import { readFile } from "node:fs/promises";
import { type Browser, type BrowserContext, type CDPSession, type Page, chromium } from "@playwright/test";
import { FLAGS } from "../flags.ts";

/** What the benchmark says of the platform. */
export interface Plan {
  url: string;
  cookies: Record<string, string>;
  hour_call: string;
  number: string;
  python: string;
  rounds: number;
  rows: number;
  scroll_seconds: number;
}

/** 10 Mbit/s and 40 ms there and back; the processor is not slowed down. */
const LINE = { offline: false, latency: 40, downloadThroughput: 10e6 / 8, uploadThroughput: 10e6 / 8 };

declare global {
  interface Window {
    /** Resolves with `performance.now()` of the first frame that has what the selector names. */
    shown: (selector: string) => Promise<number>;
    clickedAt: number;
  }
}

/** Runs in every page before its own scripts. */
function clocks(): void {
  const painted = (): Promise<number> =>
    new Promise((resolve) => {
      requestAnimationFrame(() => {
        const channel = new MessageChannel(); // a task after the frame's work: what it shows is on its way to the screen
        channel.port1.addEventListener("message", () => resolve(performance.now()), { once: true });
        channel.port1.start();
        channel.port2.postMessage(0);
      });
    });
  window.shown = (selector) =>
    new Promise((resolve) => {
      const look = (): boolean => {
        if (!document.querySelector(selector)) return false;
        observer.disconnect();
        void painted().then(resolve);
        return true;
      };
      const observer = new MutationObserver(look);
      if (!look()) observer.observe(document, { subtree: true, childList: true, attributes: true });
    });
  addEventListener("click", (event) => (window.clickedAt = event.timeStamp), true);
}

export async function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: FLAGS });
}

/** A browser that never was here, but is signed in. */
export async function visitor(browser: Browser, plan: Plan): Promise<{ context: BrowserContext; page: Page; session: CDPSession }> {
  const context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", viewport: { width: 1440, height: 900 } });
  await context.addCookies(Object.entries(plan.cookies).map(([name, value]) => ({ name, value, url: plan.url })));
  const page = await context.newPage();
  await page.addInitScript(clocks);
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", LINE);
  return { context, page, session };
}

/** When the page first had it, since the page was asked for. */
export function shown(page: Page, selector: string): Promise<number> {
  return page.evaluate((wanted) => window.shown(wanted), selector);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Resident memory of the renderer that has most, in MB: the page's own, when one page is open. */
export async function rendererMb(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const sizes = await Promise.all(processInfo.filter((each) => each.type === "renderer").map(async (each) => residentMb(each.id)));
  return Math.max(...sizes);
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

export async function heapMb(session: CDPSession): Promise<number> {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  return (metrics.find((each) => each.name === "JSHeapUsedSize")?.value ?? 0) / (1 << 20);
}
