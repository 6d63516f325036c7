/**
 * What the pages look like. The main ones' pictures are kept in `docs/console`, and held loosely against the pages as they are; with
 * `PICTURES=write` they are made anew; with `PICTURES=all` every page is, in every look, beside the journeys' traces, to be looked at.
 */
import { execFile } from "node:child_process";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { PYTHON, type Person, expect, fresh, test } from "../journey.ts";
import { REPOSITORY } from "../platform.ts";

const run = promisify(execFile);
const KEPT = join(REPOSITORY, "docs/console");
/** The best in which a picture is small enough to be kept. */
const QUALITIES = [0.75, 0.55, 0.4, 0.25] as const;
const MOST_BYTES = 64_000;
/** Times and counts are others each time; a page that fell apart, or lost its colours, differs in far more. */
const MOST_DIFFERENT = 0.04;
/** For so long a page that is made a picture of hasn't changed. */
const UNCHANGED_MS = 1_500;
const IS_ALL = process.env["PICTURES"] === "all";
const IS_WRITING = IS_ALL || process.env["PICTURES"] === "write";
const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } } as const;
const THEMES = ["light", "dark"] as const;
/** Those that are kept. */
const LOOKS = [["desk", "light"], ["desk", "dark"], ["phone", "light"]] as const;

interface Shown {
  name: string;
  path: string;
  /** What must be there before it is a picture. */
  has: string;
}

/** Where it is evening now, whenever this runs: how a list shows today's rows and earlier ones depends on the hour. */
function evening(): string {
  const ahead = ((22 - new Date().getUTCHours() + 12) % 24) - 12;
  return `Etc/GMT${ahead > 0 ? "-" : "+"}${Math.abs(ahead)}`; // POSIX counts them the other way round
}

/** An organization that has what a clinic would have after some weeks. */
async function clinic(ada: Person): Promise<{ call: string; flow: string; number: string; thread: string; contact: string }> {
  await ada.api("POST", "/api/organizations", { name: "Lakeside Dental" });
  await ada.api("PATCH", "/api/organization", { time_zone: evening() });
  const { numbers } = await ada.api<{ numbers: { e164: string }[] }>("GET", "/api/numbers/available?country=US&limit=20");
  const number = await ada.api<{ id: string; e164: string }>("POST", "/api/numbers/buy", { e164: numbers[Math.floor(Math.random() * numbers.length)]?.e164 });
  const flow = await ada.api<{ id: string }>("POST", "/api/flows", {
    name: "Front desk",
    greeting: "Thank you for calling Lakeside Dental. How can I help you today?",
    system_prompt: "You are the receptionist of a dental clinic.\n\nOffer the first free time that suits the caller, and book it. Prices are in the knowledge base; never guess one.",
    recording_enabled: true,
  });
  await ada.api("PATCH", `/api/numbers/${number.id}`, { flow_id: flow.id, sms_enabled: true });
  await ada.api("POST", "/api/knowledge", { name: "Prices", text: "A cleaning costs 90 dollars, a whitening 240, a check-up 60." });
  await ada.api("POST", "/api/webhooks", { url: "https://crm.lakeside.example/hum", events: ["call.completed"], description: "Our CRM" });
  await ada.api("POST", "/api/team/invites", { email: "grace@lakeside.example", role: "operator" });
  await ada.api("POST", "/api/sms/templates", { name: "Reminder", body: "Hello {{contact.first_name}}, we see you tomorrow at Lakeside Dental." });
  const { organization } = await ada.api<{ organization: { id: string } }>("GET", "/api/me");
  const facts = ["--organization", organization.id, "--number", number.id, "--e164", number.e164, "--flow", flow.id];
  const { stdout } = await run(PYTHON, ["-m", "bench.console.clinic", ...facts, "--calls", "400", "--threads", "90", "--minutes", "4", "--minutes-apart", "75"], {
    cwd: REPOSITORY,
    env: { ...process.env, PYTHONPATH: REPOSITORY },
  });
  const { conversations } = await ada.api<{ conversations: { id: string; contact: { id: string } | null }[] }>("GET", "/api/sms/conversations?limit=4");
  return { call: stdout.trim(), flow: flow.id, number: number.id, thread: conversations[2]?.id ?? "", contact: conversations[2]?.contact?.id ?? "" };
}

function main(of: { call: string; flow: string; thread: string }): Shown[] {
  return [
    { name: "home", path: "/", has: 'main li a[href^="/calls/"]' },
    { name: "calls", path: "/calls", has: '[role=row][aria-rowindex="9"]' },
    { name: "call", path: `/calls/${of.call}`, has: "figure" },
    { name: "inbox", path: `/inbox/${of.thread}`, has: "textarea" },
    { name: "agent", path: `/agents/${of.flow}`, has: "main h1" },
    { name: "analytics", path: "/analytics", has: "main canvas" },
  ];
}

/** All others; only looked at. */
function others(of: { contact: string; number: string; flow: string; call: string }): Shown[] {
  const paths = ["/calls/scheduled", "/calls/blocked", `/calls/${of.call}?tab=timeline`, `/calls/${of.call}?tab=details`, "/inbox", "/inbox/templates", "/inbox/scheduled", "/inbox/unknown", "/inbox/opt-outs", "/voicemails", "/approvals", "/contacts", `/contacts/${of.contact}`, "/campaigns", "/campaigns/new", "/agents", "/agents/new", ...["try", "versions", "tools", "metrics"].map((tab) => `/agents/${of.flow}?tab=${tab}`), "/numbers", "/numbers/buy", `/numbers/${of.number}`, "/knowledge", "/tools", "/tools/new", "/mcp-servers", "/crm", "/webhooks", "/webhooks/new", "/triggers", "/events", "/team", "/api-keys", "/audit-log", "/billing", "/settings", "/me", "/nowhere"];
  return paths.map((path) => ({ name: path.slice(1).replace(/\?tab=/, "-").replace(/[a-z]+_[0-9A-Z]{26}|[0-9A-Z]{26}/, "one").replaceAll("/", "-"), path, has: path === "/nowhere" ? "h1" : "main h1, main h2" }));
}

/** A blank page without a policy, that packs pictures and holds them against each other. */
class Lab {
  constructor(private readonly page: Page) {}

  /** A PNG as a WebP that is small enough to be kept. */
  async packed(png: Buffer): Promise<Buffer> {
    const base64 = await this.page.evaluate(
      async ({ source, qualities, most }) => {
        const bitmap = await createImageBitmap(await (await fetch(source)).blob());
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
        let blob = new Blob();
        for (const quality of qualities) {
          blob = await canvas.convertToBlob({ type: "image/webp", quality });
          if (blob.size < most) break;
        }
        const bytes = new Uint8Array(await blob.arrayBuffer());
        let text = "";
        for (const byte of bytes) text += String.fromCharCode(byte);
        return btoa(text);
      },
      { source: `data:image/png;base64,${png.toString("base64")}`, qualities: QUALITIES, most: MOST_BYTES },
    );
    return Buffer.from(base64, "base64");
  }

  /** Which share of two pictures differs, seen from so far that letters are a tint; all of it when their sizes do. */
  difference(one: Buffer, other: Buffer): Promise<number> {
    return this.page.evaluate(
      async (sources) => {
        const [SHRUNK, FAR] = [8, 28];
        const seen = await Promise.all(
          sources.map(async (source) => {
            const bitmap = await createImageBitmap(await (await fetch(source)).blob());
            const canvas = new OffscreenCanvas(Math.round(bitmap.width / SHRUNK), Math.round(bitmap.height / SHRUNK));
            const context = canvas.getContext("2d");
            if (!context) throw new Error("no canvas");
            context.imageSmoothingQuality = "high";
            context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
            return { width: bitmap.width, height: bitmap.height, data: context.getImageData(0, 0, canvas.width, canvas.height).data };
          }),
        );
        const [a, b] = seen;
        if (!a || !b || a.width !== b.width || a.height !== b.height) return 1;
        let different = 0;
        for (let at = 0; at < a.data.length; at += 4) if ([0, 1, 2].some((part) => Math.abs((a.data[at + part] ?? 0) - (b.data[at + part] ?? 0)) > FAR)) different += 1;
        return different / (a.data.length / 4);
      },
      [one, other].map((each) => `data:image/webp;base64,${each.toString("base64")}`),
    );
  }
}

/** The page once nothing on it moves or loads. */
async function show(page: Page, url: string, shown: Shown, size: keyof typeof SIZES, theme: (typeof THEMES)[number]): Promise<Buffer> {
  await page.setViewportSize(SIZES[size]);
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  if (page.url() !== `${url}${shown.path}`) await page.goto(`${url}${shown.path}`);
  await page.locator(shown.has).first().waitFor({ state: "attached" });
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  return page.screenshot({ animations: "disabled", caret: "hide" });
}

test("the main pages look as their pictures do", async ({ another, browser }, info) => {
  test.setTimeout(IS_ALL ? 900_000 : 180_000);
  const ada = await another(`ada@${fresh("lakeside")}.example`);
  const facts = await clinic(ada);
  const elsewhere = await browser.newContext();
  const lab = new Lab(await elsewhere.newPage());
  await mkdir(KEPT, { recursive: true });
  // On a busy machine parts of a page come later; one that fell apart stays so.
  const patientUntil = Date.now() + 60_000;
  for (const shown of main(facts)) {
    for (const [size, theme] of LOOKS) {
      const name = `${shown.name}-${size}-${theme}.webp`;
      const look = async () => lab.packed(await show(ada.page, ada.url, shown, size, theme));
      const path = join(KEPT, name);
      let now = await look();
      if (IS_WRITING) {
        now = await settled(ada.page, now, look);
        await writeFile(path, now);
      }
      expect((await stat(path)).size, `${name} is too large to be kept`).toBeLessThan(MOST_BYTES);
      const kept = await readFile(path);
      let differs = await lab.difference(kept, now);
      while (differs > MOST_DIFFERENT && Date.now() < patientUntil) {
        await ada.page.waitForTimeout(200);
        now = await look();
        differs = await lab.difference(kept, now);
      }
      if (differs > MOST_DIFFERENT) await info.attach(name, { body: now, contentType: "image/webp" });
      expect.soft(differs, `${name} shows something else; PICTURES=write makes it anew`).toBeLessThanOrEqual(MOST_DIFFERENT);
    }
  }
  if (IS_ALL) for (const shown of [...main(facts), ...others(facts)]) await lookedAt(lab, ada, shown, (name) => info.outputPath(name));
  await elsewhere.close();
});

/** A page's look once it stays as it is; what loads without a sign would be kept half done. */
async function settled(page: Page, first: Buffer, look: () => Promise<Buffer>): Promise<Buffer> {
  let [before, now] = [first, first];
  await expect(async () => {
    await page.waitForTimeout(UNCHANGED_MS);
    [before, now] = [now, await look()];
    expect(now.equals(before)).toBe(true);
  }).toPass({ timeout: 30_000 });
  return now;
}

/** A page in every look, beside the traces. */
async function lookedAt(lab: Lab, person: Person, shown: Shown, place: (name: string) => string): Promise<void> {
  for (const size of ["desk", "phone"] as const) {
    for (const theme of THEMES) await writeFile(place(`${shown.name}-${size}-${theme}.webp`), await lab.packed(await show(person.page, person.url, shown, size, theme)));
  }
}
