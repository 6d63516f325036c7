/**
 * What every journey has: a person who is signed in, an organization of their own, the outside world to act in, and four things
 * that must hold on every page: no error on the console, nothing that the policy refused, nothing that axe finds, no 5xx.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { type BrowserContext, type Locator, type Page, type Request, test as base, expect } from "@playwright/test";
import { isChange, record } from "./operations.ts";
import { REPOSITORY, type Run, readRun } from "./platform.ts";

export { expect };
export type { Locator, Page };
const run = promisify(execFile);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const PYTHON = process.env["HUM_PYTHON"] ?? `${REPOSITORY}.venv/bin/python`;
/** What the console may log: a visitor's first question who they are is answered 401, a form with a wrong field 400, a second saver 409. */
const EXPECTED = /status of 40[019]/;

/** Each violation as a line: its rule, and the elements with what is wrong; but for what is within `others`. */
const runAxe = (others: readonly string[]): string => `axe.run({exclude: ${JSON.stringify(others)}}, {resultTypes: ["violations"]}).then(({violations}) => violations.map((each) => each.id + ": " + each.nodes
  .map((node) => node.html.slice(0, 160) + " (" + node.failureSummary.replace(/\\s+/g, " ").slice(0, 300) + ")").join(" | ")))`;

let last = 0;

/** A name that nobody else has. */
export function fresh(prefix: string): string {
  last += 1;
  return `${prefix}-${process.pid}-${last}-${Date.now() % 100_000}`;
}

export class Person {
  /** Changes that the page has asked for and that are not answered. */
  private readonly asked = new Set<Request>();

  constructor(
    readonly page: Page,
    readonly email: string,
    readonly url: string,
  ) {
    page.on("request", (request) => {
      if (isChange(request.method())) this.asked.add(request);
    });
    page.on("response", (response) => this.asked.delete(response.request()));
    page.on("requestfailed", (request) => this.asked.delete(request));
  }

  /** The page has the answer to each change that it asked for: whoever leaves before takes the request back, done or not. */
  async answered(): Promise<void> {
    await expect.poll(() => [...this.asked].map((request) => `${request.method()} ${request.url()}`)).toEqual([]);
  }

  /** The API as this person, with the page's own cookie. */
  async api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.page.request.fetch(`${this.url}${path}`, {
      method,
      maxRetries: method === "GET" ? 2 : 0, // a connection that rested may be closed at the moment when it is used again
      headers: { Origin: this.url, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { data: JSON.stringify(body) }),
    });
    expect(answer.ok(), `${method} ${path}: ${answer.status()} ${await answer.text()}`).toBe(true);
    return answer.status() === 204 ? ({} as T) : ((await answer.json()) as T);
  }

  /** Open a page of the console by its path, without loading everything anew if it is shown already. */
  async go(path: string): Promise<void> {
    await this.answered();
    await this.page.goto(`${this.url}${path}`);
    await expect(this.page.locator("h1").first()).toBeVisible();
  }

  /**
   * What axe finds on the page as it is now: nothing, but for what is within `others`, which others wrote. The protocol runs it beside the
   * pages' policy, which lets no text be evaluated.
   */
  async isAccessible(...others: string[]): Promise<void> {
    await this.isStill();
    const noticed = faults.get(this.page.context()) ?? [];
    const before = noticed.length;
    const session = await this.page.context().newCDPSession(this.page);
    await session.send("Runtime.evaluate", { expression: AXE });
    const { result } = await session.send("Runtime.evaluate", { awaitPromise: true, returnByValue: true, expression: runAxe(others) });
    await session.detach();
    expect(result.value, `axe on ${this.page.url()}`).toEqual([]);
    // In a page with a shadow root axe itself tries to add a style, which the policy refuses.
    noticed.push(...noticed.splice(before).filter((each) => !/style-src/.test(each)));
  }

  /** Wait for what moves, and for two frames: colours that are on their way to a theme have too little contrast. */
  private async isStill(): Promise<void> {
    await this.page.evaluate(async () => {
      const ending = document.getAnimations().filter((each) => Number.isFinite(each.effect?.getComputedTiming().endTime ?? 0));
      await Promise.race([Promise.all(ending.map((each) => each.finished.catch(() => undefined))), new Promise((resolve) => setTimeout(resolve, 2000))]);
      for (let frame = 0; frame < 2; frame += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
    });
  }

  /** The page in both sizes and both themes, each clean for axe. */
  async isRightInEverySize(): Promise<void> {
    for (const [width, height] of [[1440, 900], [390, 844]] as const) {
      await this.page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"] as const) {
        await this.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        const overflow = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(overflow, `${this.page.url()} is wider than ${width} px`).toBeLessThanOrEqual(0);
        expect(await this.page.evaluate(scrolledOut), `${this.page.url()} is longer than its frame, which scrolls out of sight`).toBeLessThanOrEqual(0);
        await this.isAccessible();
      }
    }
    await this.page.setViewportSize({ width: 1440, height: 900 });
    await this.page.emulateMedia({ colorScheme: "light" });
  }
}

/** By how many pixels the page itself scrolls where only its main part is to. */
function scrolledOut(): number {
  const main = document.getElementById("main");
  const { scrollHeight, clientHeight } = document.documentElement;
  return main && getComputedStyle(main).overflowY === "auto" ? scrollHeight - clientHeight : 0;
}

/** The outside world: phones and customers' servers. */
export class Outside {
  constructor(readonly where: Run) {}

  /** A call to one of our numbers; ends when the caller has said everything. */
  async call(to: string, lines: readonly string[], from = "+13175559001"): Promise<Record<string, unknown>> {
    const said = lines.flatMap((line) => ["--say", line]);
    const { stdout } = await run(PYTHON, ["-m", "cli", "call", "--to", to, "--from", from, ...said, "--json"], {
      cwd: REPOSITORY,
      env: { ...process.env, PYTHONPATH: REPOSITORY },
      maxBuffer: 16 << 20,
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** What answers when we call a number: a kind of `sandbox/twilio/farend.py`. */
  async answers(e164: string, kind: string): Promise<void> {
    const answer = await fetch(`${this.where.carrier_url}/sandbox/people/${encodeURIComponent(e164)}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind }) });
    expect(answer.ok, `${answer.status} ${await answer.text()}`).toBe(true);
  }

  /** A text that somebody sends to one of our numbers. */
  async text(from: string, to: string, body: string): Promise<void> {
    const answer = await fetch(`${this.where.carrier_url}/sandbox/texts`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ from, to, body }),
    });
    expect(answer.ok, `${answer.status} ${await answer.text()}`).toBe(true);
  }

  /** Faults of the carrier, which happen to what is for these numbers (`sandbox/twilio/faults.py`). */
  async fail(...faults: readonly ({ on: string; do: string; to: string } & Record<string, unknown>)[]): Promise<void> {
    const answer = await fetch(`${this.where.carrier_url}/sandbox/faults`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(faults) });
    expect(answer.ok, `${answer.status} ${await answer.text()}`).toBe(true);
  }

  /** What reached somebody's handset. */
  async textsTo(e164: string): Promise<{ body: string; media: { content_type: string; sha256: string | null }[] }[]> {
    const answer = await fetch(`${this.where.carrier_url}/sandbox/texts?to=${encodeURIComponent(e164)}`);
    return ((await answer.json()) as { texts: { body: string; to: string; media: { content_type: string; sha256: string | null }[] }[] }).texts;
  }
}

interface Fixtures {
  where: Run;
  outside: Outside;
  /** An admin of an organization that only this journey has. */
  admin: Person;
  /** Another person in a browser of their own. */
  another: (email: string) => Promise<Person>;
}

/** Somebody in a browser, who signs in there for the first time. */
export async function signedIn(context: BrowserContext, where: Run, email: string): Promise<Person> {
  record(context, where.public_url);
  const page = await context.newPage();
  watch(page);
  await page.goto(`${where.public_url}/auth/login?return_to=/`);
  await page.locator("input[name=email]").fill(email);
  await page.locator("form:has(input[name=email]) button").click();
  await page.waitForURL((url) => url.href.startsWith(where.public_url) && !url.pathname.startsWith("/auth"));
  return new Person(page, email, where.public_url);
}

const faults = new WeakMap<BrowserContext, string[]>();

function watch(page: Page): void {
  const found = faults.get(page.context()) ?? [];
  faults.set(page.context(), found);
  page.on("console", (message) => {
    const isOurs = !message.location().url.endsWith("/favicon.ico"); // the provider's pages have none
    if (message.type() === "error" && isOurs && !EXPECTED.test(message.text())) found.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => found.push(`exception: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 500) found.push(`${response.status()} of ${response.url()}`);
  });
  void page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`the policy refused ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
  });
}

/** Expect errors on the console from here on, as while the network is away. */
export function forgive(page: Page): void {
  faults.get(page.context())?.splice(0);
}

export const test = base.extend<Fixtures>({
  // oxlint-disable-next-line no-empty-pattern
  where: async ({}, use) => use(await readRun(process.env["HUM_HOME"] ?? "")),
  outside: async ({ where }, use) => use(new Outside(where)),
  admin: async ({ context, where }, use) => {
    const person = await signedIn(context, where, `${fresh("owner")}@example.com`);
    await person.api("POST", "/api/organizations", { name: fresh("Lakeside Clinic") });
    // A journey goes the same way at any hour; the one about hours switches them on.
    await person.api("PATCH", "/api/organization", { recipient_hours_enabled: false, voice_quiet_hours_enabled: false });
    await person.go("/");
    await use(person);
    await person.answered();
    expect(faults.get(context) ?? []).toEqual([]);
  },
  another: async ({ browser, where }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (email) => {
      const context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", viewport: { width: 1440, height: 900 } });
      contexts.push(context);
      return signedIn(context, where, email);
    });
    for (const context of contexts) {
      expect(faults.get(context) ?? []).toEqual([]);
      await context.close();
    }
  },
});
