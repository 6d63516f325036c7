/** The frame: who comes in, where one can go, by pointer and by keyboard, in both themes and languages. */
import { expect, forgive, fresh, test } from "../journey.ts";

test("a stranger signs in and arrives where they wanted to go", async ({ page, where }) => {
  await page.goto(`${where.public_url}/team`);
  await expect(page).toHaveURL(/\/sign-in\?return_to=%2Fteam$/);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.locator("input[name=email]").fill("stranger@example.com");
  await page.locator("form:has(input[name=email]) button").click();
  await expect(page.getByRole("heading", { name: "Welcome to HUM" })).toBeVisible();
});

test("everything can be reached by its name", async ({ admin }) => {
  const { page } = admin;
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Commands" }).fill("api");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/api-keys$/);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Commands" }).fill("hours");
  await page.getByRole("option", { name: /^Hours/ }).click();
  await expect(page).toHaveURL(/\/settings\?tab=hours$/);
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await expect(page).toHaveURL(/\/$/);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await admin.isAccessible();
  await page.keyboard.press("Escape");
  await admin.isRightInEverySize();
});

test("the language and the theme are kept", async ({ admin }) => {
  const { page } = admin;
  await page.getByRole("button", { name: /Admin/ }).click();
  await page.getByLabel("Language").selectOption("es");
  await expect(page.getByRole("navigation").getByRole("link", { name: "Llamadas", exact: true })).toBeVisible();
  await page.getByLabel("Tema").selectOption("dark");
  await page.reload();
  await expect(page.getByRole("navigation").getByRole("link", { name: "Llamadas", exact: true })).toBeVisible();
  expect(await page.evaluate(() => getComputedStyle(document.body).colorScheme)).toBe("dark");
});

test("who signs out is out, in every tab, and leaves nothing that they wrote", async ({ admin, context }) => {
  const second = await context.newPage();
  await second.goto(`${admin.url}/`);
  const kept = (): Promise<string[]> => second.evaluate(() => Object.keys(localStorage).filter((each) => each.startsWith("hum.") && each !== "hum.theme" && each !== "hum.language"));
  await second.evaluate(() => localStorage.setItem("hum.note.org/user/call", "Allergic to penicillin."));
  expect(await kept()).toContain("hum.note.org/user/call");
  await admin.page.getByRole("button", { name: /Admin/ }).click();
  await admin.page.getByRole("button", { name: "Sign out" }).click();
  await expect(admin.page).toHaveURL(/\/sign-in/);
  await second.reload();
  await expect(second).toHaveURL(/\/sign-in/);
  expect(await kept()).toEqual([]);
});

test("the reference is found from the console, and leads back", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/api-keys");
  await page.getByRole("link", { name: "API reference" }).first().click();
  await expect(page.getByRole("heading", { name: /^HUM/, level: 1 })).toBeVisible();
  await expect(page.getByText("Idempotency").first()).toBeVisible();
  await admin.isAccessible("#reference"); // all but what Redoc shows
  await page.keyboard.press("Control+k");
  await page.keyboard.type("snoozed_until");
  // The reference makes its index in the page, with the first search.
  await expect(page.getByRole("link", { name: /^PATCH .api.sms.conversations.*snoozed_until/ })).toBeVisible({ timeout: 60_000 });
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Back to HUM" }).click();
  await expect(page.getByRole("navigation").getByRole("link", { name: "Calls", exact: true })).toBeVisible();
});

test("what is set up elsewhere is shown without being asked for", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/tools");
  const name = fresh("look_up").replaceAll("-", "_");
  const { id } = await admin.api<{ id: string }>("POST", "/api/tools", { name, description: "Looks an order up.", url: "https://example.com/orders" });
  await expect(page.getByText(name)).toBeVisible();
  await admin.api("DELETE", `/api/tools/${id}`);
  await expect(page.getByText(name)).toBeHidden();
  await admin.go("/crm");
  const { id: connector } = await admin.api<{ id: string }>("POST", "/api/crm-connectors", { name: "Dispatch", base_url: "https://example.com/crm" });
  await expect(page.getByText("Dispatch")).toBeVisible();
  await admin.api("PATCH", `/api/crm-connectors/${connector}`, { name: "Night dispatch" });
  await expect(page.getByText("Night dispatch")).toBeVisible();
  await admin.go("/contacts");
  await admin.api("POST", "/api/contacts", { phone_e164: "+13175550161", name: "Ana Ruiz" });
  await expect(page.getByRole("link", { name: /Ana Ruiz/ })).toBeVisible();
});

test("what no news are of is there for who comes back to the tab", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/api-keys");
  await expect(page.getByText("No keys yet")).toBeVisible();
  await admin.api("POST", "/api/api-keys", { name: "Website", role: "viewer" });
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await expect(page.getByText("Website")).toBeVisible();
});

test("what opens beside a button closes when one goes elsewhere", async ({ admin }) => {
  const { page } = admin;
  const person = page.getByRole("button", { name: /Admin/ });
  const account = page.getByRole("link", { name: "Your account" });
  await expect(person).toContainText("Admin · UTC");
  await person.click();
  await expect(account).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(account).toBeHidden();
  await expect(person).toBeFocused();
  await person.click();
  await page.getByRole("heading", { name: "Home", level: 1 }).click();
  await expect(account).toBeHidden();
  await person.click();
  await account.click();
  await expect(page).toHaveURL(/\/me$/);
  await expect(account).toBeHidden();
});

test("a browser without shared workers is kept up to date too", async ({ admin }) => {
  const { page } = admin;
  await page.addInitScript(() => Reflect.deleteProperty(window, "SharedWorker"));
  await admin.go("/tools");
  expect(await page.evaluate(() => "SharedWorker" in window)).toBe(false);
  const name = fresh("look_up").replaceAll("-", "_");
  const { id } = await admin.api<{ id: string }>("POST", "/api/tools", { name, description: "Looks an order up.", url: "https://example.com/orders" });
  await expect(page.getByText(name)).toBeVisible();
  await admin.api("DELETE", `/api/tools/${id}`);
  await expect(page.getByText(name)).toBeHidden();
});

test("the organization is the same in every tab, and nothing is written into another one", async ({ admin, context }) => {
  const { page } = admin;
  const { organization } = await admin.api<{ organization: { name: string } }>("GET", "/api/me");
  const second = await context.newPage();
  await second.goto(`${admin.url}/contacts`);
  const shown = (name: string) => second.getByRole("button", { name: `Organization: ${name}` });
  await second.getByRole("button", { name: "New contact" }).first().click();
  await second.getByLabel("Phone").fill("+13175550142");

  // This tab is not told, as one that slept.
  const bakery = fresh("Bakery");
  await admin.api("POST", "/api/organizations", { name: bakery });
  await second.getByRole("dialog").getByRole("button", { name: "New contact" }).click();
  await expect(shown(bakery)).toBeVisible();
  expect(await admin.api("GET", "/api/contacts")).toMatchObject({ contacts: [] });

  // This one is.
  await second.goto(`${admin.url}/tools`);
  await expect(shown(bakery)).toBeVisible();
  await admin.go("/");
  await page.getByRole("button", { name: `Organization: ${bakery}` }).click();
  await page.getByRole("button", { name: organization.name }).click();
  await expect(shown(organization.name)).toBeVisible();
  await expect(second.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
  await second.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Tools", exact: true }).click();
  const name = fresh("look_up").replaceAll("-", "_");
  await admin.api("POST", "/api/tools", { name, description: "Looks an order up.", url: "https://example.com/orders" });
  await expect(second.getByText(name)).toBeVisible();
});

test("an address that holds nonsense shows its list all the same", async ({ admin }) => {
  const { page } = admin;
  for (const [path, heading] of [
    ["/calls?from=abc&to=2026-99-99&status=strange&direction=7", "Calls"],
    ["/inbox?status=strange&unread=perhaps&number=7", "Inbox"],
    ["/contacts?q=%7B%22a%22%3A1%7D&tag=7", "Contacts"],
    ["/campaigns?status=strange", "Campaigns"],
    ["/voicemails?show=strange&id=7", "Voicemails"],
    ["/approvals?view=strange&state=strange", "Approvals"],
    ["/agents?start=strange", "Agents"],
    ["/numbers/buy?country=12&area=x&can=7", "Buy a number"],
    ["/knowledge?tab=strange&q=7", "Knowledge"],
    ["/tools/executions?status=strange&tool=7", "Executions"],
    ["/events?type=%2F&order=strange", "Events"],
    ["/analytics?from=abc&to=abc&days=x", "Analytics"],
    ["/team?tab=strange", "Team"],
    ["/audit-log?actor=7&action=7", "Audit log"],
    ["/billing?tab=usage&from=abc&to=2026-02-30&by=x", "Billing"],
    ["/settings?tab=strange", "Organization"],
  ] as const) {
    await admin.go(path);
    await expect(page.getByRole("heading", { name: heading, level: 1 }), path).toBeVisible();
    await expect(page.getByText(/This page broke|Some fields are invalid/), path).toHaveCount(0);
  }
});

test("a lost network is told above the page, however far it is scrolled", async ({ admin, context }) => {
  const { page } = admin;
  await admin.go("/settings?tab=hours");
  await page.getByRole("main").evaluate((main) => main.scrollTo(0, main.scrollHeight));
  await context.setOffline(true);
  await expect(page.getByText("This device has no network.")).toBeInViewport();
  await admin.isAccessible();
  // A page that could not be loaded for that is not an old one.
  await page.getByRole("navigation").getByRole("link", { name: "Billing" }).dispatchEvent("click");
  await expect(page.getByRole("heading", { name: "The server can't be reached." })).toBeVisible();
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "Billing", level: 1 })).toBeVisible();
  await expect(page.getByText("This device has no network.")).toBeHidden();
  forgive(page);
});
