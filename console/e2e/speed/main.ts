/** Measures what its arguments name of the platform that its standard input describes; prints one line of JSON for each. */
import { readFileSync } from "node:fs";
import type { Browser } from "@playwright/test";
import { type Plan, launch } from "./browser.ts";
import { liveWords } from "./live.ts";
import { clicks, coldLoads } from "./pages.ts";
import { recordings } from "./recording.ts";
import { scrolling } from "./scroll.ts";
import { transcripts } from "./transcript.ts";

const PARTS: Record<string, (browser: Browser, plan: Plan) => Promise<unknown>> = {
  loads: coldLoads,
  clicks,
  words: liveWords,
  recording: recordings,
  transcript: transcripts,
  scroll: scrolling,
};

const plan = JSON.parse(readFileSync(0, "utf8")) as Plan;
for (const name of process.argv.slice(2)) {
  const part = PARTS[name];
  if (!part) throw new Error(`nothing is called ${name}`);
  const browser = await launch();
  try {
    console.log(JSON.stringify({ part: name, found: await part(browser, plan) }));
  } finally {
    await browser.close();
  }
}
