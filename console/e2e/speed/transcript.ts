/** A call of an hour beside a short one, neither recorded: how soon its words are there, and its beginning from its end. */
import type { Browser, CDPSession, Page } from "@playwright/test";
import { type Plan, shown, visitor } from "./browser.ts";

export interface Read {
  short_ms: number;
  short_kb: number;
  long_ms: number;
  long_kb: number;
  /** From the press of the button at the end to the first words of the call. */
  begin_ms: number;
  /** Lines in the page at most, while all were gone through. */
  most_lines: number;
}

const TRANSCRIPT = '[role=region][aria-label="Transcript"]';
/** Ten turns a minute. */
const TURNS = 600;

export async function transcripts(browser: Browser, plan: Plan): Promise<Read[]> {
  const found: Read[] = [];
  for (let round = 0; round < plan.rounds; round += 1) found.push(await read(browser, plan, round % 2 === 0));
  return found;
}

async function read(browser: Browser, plan: Plan, isShortFirst: boolean): Promise<Read> {
  const { context, page, session } = await visitor(browser, plan);
  const answer = await context.request.get(`${plan.url}/api/calls?limit=4&status=completed`);
  const { calls } = (await answer.json()) as { calls: { id: string }[] };
  const [, long, short, other] = calls.map((each) => each.id);
  if (!long || !short || !other) throw new Error("there are no short calls");
  await page.goto(`${plan.url}/calls`);
  await opened(page, session, other); // the page's code is there from now on
  const first = await opened(page, session, isShortFirst ? short : long);
  const second = await opened(page, session, isShortFirst ? long : short);
  const [ofShort, ofLong] = isShortFirst ? [first, second] : [second, first];
  if (!isShortFirst) await visited(page, long);
  const begin = await fromTheBeginning(page);
  const { lines, most } = await goneThrough(page);
  if (lines !== TURNS) throw new Error(`${lines} of ${TURNS} turns could be read`);
  await context.close();
  return { short_ms: ofShort.ms, short_kb: ofShort.kb, long_ms: ofLong.ms, long_kb: ofLong.kb, begin_ms: begin, most_lines: most };
}

/** From the click in the list to the first frame with words, and what the record took on the line. */
async function opened(page: Page, session: CDPSession, id: string): Promise<{ ms: number; kb: number }> {
  const bytes = recordBytes(session, id);
  const ms = await visited(page, id);
  return { ms, kb: (await bytes) / 1000 };
}

async function visited(page: Page, id: string): Promise<number> {
  if (!page.url().endsWith("/calls")) await page.goBack();
  const link = page.locator(`a[href="/calls/${id}"]`).first();
  await link.waitFor();
  await link.click();
  return (await shown(page, `${TRANSCRIPT} [role=listitem]`)) - (await page.evaluate(() => window.clickedAt));
}

function recordBytes(session: CDPSession, id: string): Promise<number> {
  return new Promise((resolve) => {
    let wanted = "";
    const sent = ({ requestId, request }: { requestId: string; request: { url: string } }): void => {
      if (new RegExp(`/api/calls/${id}(\\?|$)`).test(request.url)) wanted = requestId;
    };
    const finished = ({ requestId, encodedDataLength }: { requestId: string; encodedDataLength: number }): void => {
      if (requestId !== wanted) return;
      session.off("Network.requestWillBeSent", sent);
      session.off("Network.loadingFinished", finished);
      resolve(encodedDataLength);
    };
    session.on("Network.requestWillBeSent", sent);
    session.on("Network.loadingFinished", finished);
  });
}

async function fromTheBeginning(page: Page): Promise<number> {
  const button = page.getByRole("button", { name: "From the beginning" });
  await button.click();
  return page.evaluate(async (selector) => {
    const list = document.querySelector(selector);
    const isThere = (): boolean => list?.scrollTop === 0 && list.querySelector('[data-index="0"]') !== null && ![...document.querySelectorAll("button")].some((each) => each.textContent === "From the beginning");
    while (!isThere()) await new Promise((resolve) => requestAnimationFrame(resolve));
    return performance.now() - window.clickedAt;
  }, TRANSCRIPT);
}

/** Down to the end again, and which lines were there on the way. */
async function goneThrough(page: Page): Promise<{ lines: number; most: number }> {
  return page.evaluate(async (selector) => {
    const list = document.querySelector(selector) ?? document.body;
    const seen = new Set<string>();
    let most = 0;
    for (let last = -1; list.scrollTop !== last; ) {
      last = list.scrollTop;
      const lines = [...list.querySelectorAll("[role=listitem]")];
      most = Math.max(most, lines.length);
      for (const line of lines) seen.add(line.getAttribute("data-index") ?? "");
      list.scrollTop += 500;
      for (let frame = 0; frame < 2; frame += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    return { lines: seen.size, most };
  }, TRANSCRIPT);
}
