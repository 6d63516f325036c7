/** A live call: from when a word left the media plane to when it stood on the screen. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Browser } from "@playwright/test";
import { REPOSITORY } from "../platform.ts";
import { type Plan, visitor } from "./browser.ts";

interface Sent {
  at_ms: number;
  item_id: string;
  text: string;
  role: string;
}

interface Seen {
  item_id: string;
  text: string;
  shown_ms: number;
}

export async function liveWords(browser: Browser, plan: Plan): Promise<number[]> {
  const { context, page } = await visitor(browser, plan);
  await page.addInitScript(watchWords);
  await page.goto(`${plan.url}/calls`);
  const child = spawn(plan.python, ["-m", "bench.console.words", "--to", plan.number], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "inherit"] });
  const sent: Sent[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("{")) sent.push(JSON.parse(line) as Sent);
    else await page.goto(`${plan.url}/calls/${line.trim()}`);
  }
  const seen = new Map((await page.evaluate(() => (window as unknown as { words: Seen[] }).words)).map((each) => [`${each.item_id} ${each.text}`, each.shown_ms]));
  await context.close();
  return sent.flatMap(({ at_ms, item_id, text }) => {
    const at = seen.get(`${item_id} ${text}`);
    return at === undefined ? [] : [at - at_ms];
  });
}

/** Notes when the transcript first shows all of an utterance that a delta completed so far. */
function watchWords(): void {
  const words: { item_id: string; text: string; shown_ms: number }[] = [];
  const said = new Map<string, string>();
  let waiting: { item_id: string; text: string }[] = [];
  Object.assign(window, { words });
  const plain = (text: string): string => text.replace(/\s+/g, " ").trim();
  const look = (): void => {
    if (waiting.length === 0) return;
    const shown = plain(document.querySelector("main [role=list]")?.textContent ?? "");
    const there = waiting.filter((each) => shown.includes(plain(each.text)));
    if (there.length === 0) return;
    waiting = waiting.filter((each) => !there.includes(each));
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.addEventListener("message", () => {
        const shown_ms = performance.timeOrigin + performance.now();
        words.push(...there.map((each) => ({ ...each, shown_ms })));
      });
      channel.port1.start();
      channel.port2.postMessage(0);
    });
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function add(this: EventSource, type: string, listener: EventListener) {
    if (type === "transcript.delta") {
      listen.call(this, type, (event: Event) => {
        const { item_id, text } = JSON.parse((event as MessageEvent<string>).data) as { item_id: string; text: string };
        said.set(item_id, (said.get(item_id) ?? "") + text);
        if (text) waiting.push({ item_id, text: said.get(item_id) ?? "" });
      });
    }
    listen.call(this, type, listener);
  } as typeof listen;
}
