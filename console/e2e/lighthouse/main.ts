/**
 * Lighthouse's judgement of the pages that one works in, as somebody who is signed in; on a desk and on a phone.
 * Prints one line of JSON, of the platform that its standard input describes.  It has packages of its own: it needs ten times those of all else.
 */
import { readFileSync } from "node:fs";
import { chromium } from "@playwright/test";
import lighthouse, { type Config, desktopConfig } from "lighthouse";
import { FLAGS } from "../flags.ts";
import { freePort } from "../speed/ports.ts";
import { type Plan, median } from "../speed/browser.ts";

const CATEGORIES = ["performance", "accessibility", "best-practices", "seo"] as const;
type Scores = Record<(typeof CATEGORIES)[number], number>;

interface Judged {
  page: string;
  form: "desk" | "phone";
  scores: Scores;
  /** What is not full marks: the audit, and what it says. */
  complaints: string[];
}

async function judged(plan: Plan): Promise<Judged[]> {
  const found: Judged[] = [];
  for (const form of ["desk", "phone"] as const) {
    for (const [page, path] of [["home", "/"], ["call", `/calls/${plan.hour_call}`], ["inbox", "/inbox"]] as const) {
      const rounds: Awaited<ReturnType<typeof judge>>[] = [];
      for (let round = 0; round < plan.rounds; round += 1) rounds.push(await judge(plan, path, form === "desk" ? desktopConfig : undefined));
      const scores = Object.fromEntries(CATEGORIES.map((name) => [name, median(rounds.map((each) => each.scores[name]))])) as Scores;
      found.push({ page, form, scores, complaints: [...new Set(rounds.flatMap((each) => each.complaints))] });
    }
  }
  return found;
}

/** A browser of its own for each: nothing is held of the visit before. */
async function judge(plan: Plan, path: string, config: Config | undefined): Promise<{ scores: Scores; complaints: string[] }> {
  const port = await freePort();
  const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: [...FLAGS, `--remote-debugging-port=${port}`] });
  try {
    const session = await browser.newBrowserCDPSession();
    await session.send("Storage.setCookies", { cookies: Object.entries(plan.cookies).map(([name, value]) => ({ name, value, url: plan.url })) });
    const result = await lighthouse(`${plan.url}${path}`, { port, logLevel: "error", onlyCategories: [...CATEGORIES] }, config);
    if (!result || result.lhr.runtimeError) throw new Error(`${path}: ${result?.lhr.runtimeError?.message ?? "no result"}`);
    const { lhr } = result;
    if (new URL(lhr.finalDisplayedUrl).pathname !== path) throw new Error(`${path} led to ${lhr.finalDisplayedUrl}`);
    const scores = Object.fromEntries(CATEGORIES.map((name) => [name, Math.round((lhr.categories[name]?.score ?? 0) * 100)])) as Scores;
    const counted = CATEGORIES.flatMap((name) => (lhr.categories[name]?.auditRefs ?? []).filter((each) => each.weight > 0).map((each) => each.id));
    const complaints = counted.map((id) => lhr.audits[id]).filter((each) => each && each.score !== null && each.score < 0.9).map((each) => `${each?.id}: ${each?.displayValue ?? each?.title}`);
    return { scores, complaints };
  } finally {
    await browser.close();
  }
}

const plan = JSON.parse(readFileSync(0, "utf8")) as Plan;
console.log(JSON.stringify({ part: "lighthouse", found: await judged(plan) }));
