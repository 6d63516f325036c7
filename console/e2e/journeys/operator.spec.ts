/** A deployment that is sold: organizations wait for a yes, and plans are paid for. It is a platform of its own, with a stand-in for Stripe. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { PYTHON, type Person, expect, forgive, signedIn, test } from "../journey.ts";
import { REPOSITORY, type Run, readRun, startPlatform } from "../platform.ts";
import { confirm, listed } from "../things.ts";

const run = promisify(execFile);
const KEYS = { STRIPE_API_KEY: "sk_test_journeys", STRIPE_WEBHOOK_SECRET: "whsec_journeys" };
const PLANS = {
  plans: [
    { id: "free", name: "Free", numbers: 2, minutes: 60, messages: 100, seats: 3 },
    { id: "starter", name: "Starter", numbers: 3, minutes: 1000, messages: 1000, seats: 5, price_id: "price_starter", seat_price_id: "price_seat", price_text: "$29 a month" },
    { id: "business", name: "Business", numbers: 20, minutes: null, messages: null, seats: 25, price_id: "price_business", price_text: "$99 a month" },
  ],
  meters: { minutes: "hum_minutes", messages: "hum_messages" },
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The stand-in for Stripe, which tells the gateway at `port` what happens. */
async function stripeFor(port: number): Promise<{ url: string; process: ChildProcess }> {
  const prices = ["price_starter=2900", "price_business=9900", "price_seat=500"].flatMap((price) => ["--price", price]);
  const stripe = spawn(PYTHON, ["-m", "sandbox.stripe", "--webhook-url", `http://127.0.0.1:${port}/stripe/webhook`, ...prices], { cwd: REPOSITORY, env: { ...process.env, ...KEYS, PYTHONPATH: REPOSITORY }, stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve) => stripe.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString())));
  return { url: (JSON.parse(line) as { url: string }).url, process: stripe };
}

/** A deployment for one journey. */
async function sold(): Promise<{ where: Run; home: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "hum-plans-"));
  const plans = join(folder, "plans.json");
  await writeFile(plans, JSON.stringify(PLANS));
  const port = await freePort();
  const stripe = await stripeFor(port);
  const { home, stop } = await startPlatform({ ...KEYS, HUM_PLANS_FILE: plans, HUM_ONBOARDING: "approval", HUM_GATEWAY_LISTEN: `127.0.0.1:${port}`, HUM_OVERRIDES: `stripe_api_base=${stripe.url}` });
  return {
    where: await readRun(home),
    home,
    [Symbol.asyncDispose]: async () => {
      stripe.process.kill();
      await Promise.all([stop(), rm(folder, { recursive: true, force: true })]);
    },
  };
}

test("organizations are approved, denied and made for somebody; a plan is taken, changed, ended and kept", async ({ browser }) => {
  test.setTimeout(300_000);
  await using deployment = await sold();
  const { where, home } = deployment;
  const person = async (name: string): Promise<Person> => signedIn(await browser.newContext({ locale: "en-US", timezoneId: "UTC", viewport: { width: 1440, height: 900 } }), where, `${name}@example.com`);
  const operator = await person("operator");
  await run(PYTHON, ["-m", "cli", "admin", "make-site-admin", "--email", operator.email], { cwd: REPOSITORY, env: { ...process.env, HUM_HOME: home, PYTHONPATH: REPOSITORY } });
  await operator.page.reload();

  // Two ask for an organization: one gets it, the other does not.
  const ask = async (who: Person, name: string): Promise<void> => {
    await who.page.getByRole("textbox", { name: "Name" }).fill(name);
    await who.page.getByRole("button", { name: "Create it" }).click();
    await expect(who.page.getByRole("heading", { name: "Waiting for approval" })).toBeVisible();
  };
  const [ada, bob] = [await person("ada"), await person("bob")];
  await operator.api("POST", "/api/organizations", { name: "The operator's" });
  await ask(ada, "Ada's clinic");
  await ask(bob, "Bob's bots");
  const requests = listed<{ name: string }>(operator, "/api/organizations/requests", "requests");
  await operator.go("/admin/organizations");
  await operator.page.getByRole("button", { name: "Approve Ada's clinic" }).click();
  await expect.poll(requests).toMatchObject([{ name: "Bob's bots" }]);
  await operator.page.getByRole("button", { name: "Deny Bob's bots" }).click();
  await confirm(operator.page, "Deny");
  await expect.poll(requests).toEqual([]);
  await operator.page.getByRole("button", { name: "Create one for somebody" }).click();
  const dialog = operator.page.getByRole("dialog");
  await dialog.getByLabel("Organization").fill("Bob's bakery");
  await dialog.getByLabel("Their e-mail address").fill(bob.email);
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await expect.poll(async () => (await bob.api<{ organizations: { name: string }[] }>("GET", "/api/me")).organizations.map((each) => each.name)).toEqual(["Bob's bakery"]);

  // A number that the carrier account holds is the operator's to register.
  await operator.go("/numbers");
  await operator.page.getByRole("button", { name: "Register one" }).first().click();
  await operator.page.getByRole("dialog").getByRole("textbox").fill(where.numbers[0] ?? "");
  await operator.page.getByRole("dialog").getByRole("button", { name: "Register" }).click();
  await expect.poll(listed<{ e164: string }>(operator, "/api/numbers", "numbers")).toMatchObject([{ e164: where.numbers[0] }]);

  // Ada takes a plan, pays, takes a larger one, ends it, and goes on after all.
  const { page } = ada;
  await expect(page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible({ timeout: 30_000 });
  interface Billing {
    plan: { id: string };
    subscription: { status: string; cancel_at_period_end: boolean } | null;
  }
  const billing = (): Promise<Billing> => ada.api<Billing>("GET", "/api/billing");
  await ada.go("/billing");
  await page.getByRole("button", { name: "Choose Starter" }).click();
  // The stand-in's checkout takes whoever opens it as having paid, and leads back.
  await expect.poll(billing, { timeout: 30_000 }).toMatchObject({ plan: { id: "starter" }, subscription: { status: "active" } });
  await ada.go("/billing");
  await page.getByRole("button", { name: "Change to Business" }).click();
  await confirm(page, "Change");
  await expect.poll(billing, { timeout: 30_000 }).toMatchObject({ plan: { id: "business" } });
  await page.getByRole("button", { name: "End with this period" }).click();
  await confirm(page, "End with this period");
  await expect.poll(billing).toMatchObject({ subscription: { cancel_at_period_end: true } });
  await page.getByRole("button", { name: "Go on after all" }).click();
  await expect.poll(billing).toMatchObject({ subscription: { cancel_at_period_end: false } });
  const asked = page.waitForRequest((request) => request.isNavigationRequest() && !request.url().startsWith(where.public_url));
  await page.getByRole("button", { name: "Invoices and payment" }).click();
  expect((await asked).url()).toContain("portal");
  for (const each of [operator, ada, bob]) {
    forgive(each.page);
    await each.page.context().close();
  }
});
