/** Who clicks twice acts once, and is told nothing frightening: by a double click, and by two clicks before the page has changed. */
import { type Locator, type Page, expect, test } from "../journey.ts";
import { clinic, stranger, textNumber } from "../things.ts";

type How = "by a double click" | "in one task";
const HOWS: readonly How[] = ["by a double click", "in one task"];

async function clickTwice(button: Locator, how: How): Promise<void> {
  await expect(button).toBeEnabled();
  if (how === "by a double click") await button.dblclick();
  else
    await button.evaluate((element: HTMLElement) => {
      element.click();
      element.click();
    });
}

/** The changes that the page asks for from now on; each takes a while, as over a real line. */
async function slowed(page: Page): Promise<{ sent: string[] }> {
  const sent: string[] = [];
  await page.route("**/api/**", async (route) => {
    const [method, { pathname }] = [route.request().method(), new URL(route.request().url())];
    if (method === "GET" || /preview|read$/.test(pathname) || route.request().postData()?.includes("validate_only")) return route.continue();
    sent.push(`${method} ${pathname.replace(/[a-z]+_[0-9A-Z]{26}/g, "_")}`);
    await new Promise((resolve) => setTimeout(resolve, 400));
    return route.continue();
  });
  return { sent };
}

/** Nothing of a refusal is shown, and this alone was asked for. */
async function isCalm(page: Page, log: { sent: string[] }, ...sent: string[]): Promise<void> {
  await page.waitForTimeout(600);
  await expect(page.getByRole("region", { name: "Notices" }).locator(".border-bad")).toHaveCount(0);
  await expect(page.getByText(/in progress|still being done/)).toHaveCount(0);
  expect(log.sent.splice(0)).toEqual(sent);
}

test("one note of a call", async ({ admin, outside }) => {
  const { page } = admin;
  const { e164 } = await clinic(admin, { recording_enabled: false });
  await outside.call(e164, ["Hello."], stranger());
  const { calls } = await admin.api<{ calls: { id: string }[] }>("GET", "/api/calls");
  await admin.go(`/calls/${calls[0]?.id}`);
  const log = await slowed(page);
  for (const how of HOWS) {
    await page.getByRole("textbox", { name: "Add a note" }).fill(`Written once, clicked ${how}.`);
    await clickTwice(page.getByRole("button", { name: "Save", exact: true }), how);
    await expect(page.getByRole("article").filter({ hasText: how })).toBeVisible();
    await isCalm(page, log, "POST /api/calls/_/notes");
  }
  const { notes } = await admin.api<{ notes: { body: string }[] }>("GET", `/api/calls/${calls[0]?.id}/notes`);
  expect(notes.map((each) => each.body).toSorted()).toEqual(HOWS.map((how) => `Written once, clicked ${how}.`).toSorted());
});

test("one invitation, one template, one key, one import", async ({ admin }) => {
  const { page } = admin;
  const log = await slowed(page);
  for (const [at, how] of HOWS.entries()) {
    await admin.go("/team");
    await page.getByRole("button", { name: "Invite somebody" }).first().click();
    await page.getByLabel("E-mail").fill(`twice-${at}@example.com`);
    await clickTwice(page.getByRole("dialog").getByRole("button", { name: "Invite", exact: true }), how);
    await expect(page.getByText(`twice-${at}@example.com is invited.`)).toHaveCount(1);
    await isCalm(page, log, "POST /api/team/invites");

    await admin.go("/inbox/templates");
    await page.getByRole("button", { name: "New template" }).first().click();
    await page.getByLabel("Name", { exact: true }).fill(`Template ${at}`);
    await page.getByLabel("Text", { exact: true }).fill("Second floor.");
    await clickTwice(page.getByRole("dialog").getByRole("button", { name: "Save" }), how);
    await expect(page.getByText("Saved the template.")).toHaveCount(1);
    await isCalm(page, log, "POST /api/sms/templates");

    await admin.go("/api-keys");
    await page.getByRole("button", { name: "Create a key" }).first().click();
    await page.getByLabel("Name", { exact: true }).fill(`Key ${at}`);
    await page.getByRole("switch", { name: "Everything its role may" }).check();
    await clickTwice(page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }), how);
    await expect(page.getByText("Copy it now.")).toBeVisible();
    await isCalm(page, log, "POST /api/api-keys");
    await page.getByRole("button", { name: "I have it" }).click();

    await admin.go("/contacts/import");
    await page.getByLabel("Or paste it").fill(`phone,name\n${stranger()},Twice ${at}\n`);
    await clickTwice(page.getByRole("button", { name: "Preview" }), how);
    await expect(page.getByText("Nothing has changed yet.")).toBeVisible();
    await isCalm(page, log, "POST /api/contacts/import");
    await clickTwice(page.getByRole("button", { name: "Import 1 contact" }), how);
    await expect(page.getByRole("link", { name: "To the contacts" })).toBeVisible();
    await isCalm(page, log, "POST /api/contacts/import");
  }
  expect((await admin.api<{ invites: unknown[] }>("GET", "/api/team/invites")).invites).toHaveLength(2);
  expect((await admin.api<{ templates: unknown[] }>("GET", "/api/sms/templates")).templates).toHaveLength(2);
  expect((await admin.api<{ api_keys: unknown[] }>("GET", "/api/api-keys")).api_keys).toHaveLength(2);
  expect((await admin.api<{ contacts: unknown[] }>("GET", "/api/contacts")).contacts).toHaveLength(2);
});

test("a campaign is made, launched and paused once; the AI is silenced and not woken by the second click", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin, { sms_config_json: { debounce_ms: 0 } });
  await outside.text(stranger(), number.e164, "Hello there");
  const log = await slowed(page);
  for (const how of HOWS) {
    await admin.go("/campaigns/new");
    await page.getByLabel("Name").fill(`Recall ${how}`);
    await page.getByLabel("From").selectOption(number.id);
    await page.getByLabel("Text", { exact: true }).fill("It is time for a check-up.");
    await page.getByLabel("Keep quiet hours").uncheck();
    await page.getByText("Pasted numbers").click();
    await page.getByLabel("Numbers", { exact: true }).fill(Array.from({ length: 120 }, (_, at) => `+131755540${String(at).padStart(2, "0")}`.slice(0, 12)).join("\n"));
    await clickTwice(page.getByRole("button", { name: "Save and see what would happen" }), how);
    await expect(page.getByRole("button", { name: "Launch" })).toBeVisible();
    await isCalm(page, log, "POST /api/sms/campaigns", "POST /api/sms/campaigns/_/recipients");
    await page.getByRole("button", { name: "Launch" }).click();
    await clickTwice(page.getByRole("dialog").getByRole("button", { name: "Launch" }), how);
    await clickTwice(page.getByRole("button", { name: "Pause", exact: true }), how);
    await expect(page.getByRole("main").getByRole("button", { name: "Resume" })).toBeVisible();
    await isCalm(page, log, "POST /api/sms/campaigns/_/launch", "POST /api/sms/campaigns/_/pause");
  }
  const { campaigns } = await admin.api<{ campaigns: { name: string; status: string }[] }>("GET", "/api/sms/campaigns");
  expect(campaigns.map((each) => [each.name, each.status]).toSorted()).toEqual(HOWS.map((how) => [`Recall ${how}`, "paused"]));

  const { conversations } = await admin.api<{ conversations: { id: string }[] }>("GET", "/api/sms/conversations?q=Hello");
  const thread = `/api/sms/conversations/${conversations[0]?.id}`;
  await admin.go(`/inbox/${conversations[0]?.id}`);
  const ai = page.getByRole("region", { name: "AI", exact: true });
  await ai.getByRole("button", { name: "Pause the AI" }).dblclick();
  await expect(page.getByText("The AI is silent here.")).toHaveCount(1);
  await isCalm(page, log, "PATCH /api/sms/conversations/_");
  expect(await admin.api("GET", thread)).toMatchObject({ ai_paused: true });
});
