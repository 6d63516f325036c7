/** The guides, and addresses that others name: what a person who reads finds, signed in or not. */
import { Person, expect, test } from "../journey.ts";

test("a stranger reads the guides: the index, a guide, a place in it", async ({ page, where }) => {
  const reader = new Person(page, "", where.public_url);
  await reader.go("/sign-in");
  await page.getByRole("link", { name: "Guides" }).click();
  await expect(page).toHaveURL(/\/guides$/);
  await expect(page.getByRole("heading", { name: "Connecting your systems" })).toBeVisible();
  await reader.isRightInEverySize();
  await page.getByRole("link", { name: "Webhooks" }).click();
  await expect(page.getByRole("heading", { name: "Webhooks", level: 1 })).toBeVisible();
  await page.getByRole("link", { name: "Verify", exact: true }).first().click();
  await expect(page).toHaveURL(/\/guides\/webhooks#verify$/);
  await expect(page.getByRole("heading", { name: "Verify", exact: true })).toBeInViewport();
  await page.goto(`${where.public_url}/guides/nothing`);
  await expect(page.getByRole("heading", { name: "There is no such guide" })).toBeVisible();
  await page.getByRole("link", { name: "All guides" }).click();
  await expect(page).toHaveURL(/\/guides$/);
});

for (const name of ["webhooks", "console", "authorization"]) {
  test(`the guide “${name}” is right in every size`, async ({ page, where }) => {
    const reader = new Person(page, "", where.public_url);
    await reader.go(`/guides/${name}`);
    await reader.isRightInEverySize();
  });
}

test("names of files in the product guide lead to the guides", async ({ page, where }) => {
  for (const path of ["/docs/sms-api.md", "/sms-api.md", "/guides/sms-api.md", "/docs/sms-api"]) {
    await page.goto(`${where.public_url}${path}#campaigns`);
    await expect(page).toHaveURL(`${where.public_url}/guides/sms-api#campaigns`);
    await expect(page.getByRole("heading", { name: "Campaigns", exact: true })).toBeInViewport();
  }
});

test("a person finds the guides from the console, and an agent's prompt is copied with a click", async ({ admin, context }) => {
  const { page } = admin;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Guides" }).click();
  await page.getByRole("link", { name: "Setting up agents" }).click();
  const prompt = page.locator(".code", { hasText: "HUM answers and places our telephone calls" });
  await prompt.getByRole("button", { name: "Copy" }).click();
  await expect(prompt.getByRole("button", { name: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('by the MCP server "hum"');
  await page.getByRole("link", { name: "Console", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog").getByRole("link", { name: "Guides" })).toBeVisible();
});

test("a page's guide opens beside it, in the theme that was chosen", async ({ admin, context }) => {
  const { page } = admin;
  await page.evaluate(() => localStorage.setItem("hum.theme", "dark"));
  await admin.go("/webhooks/new");
  const opening = context.waitForEvent("page");
  await page.getByRole("link", { name: "How to verify it" }).click();
  const guide = await opening;
  await expect(guide.getByRole("heading", { name: "Verify", exact: true })).toBeInViewport();
  expect(await guide.evaluate(() => getComputedStyle(document.body).colorScheme)).toBe("dark");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
});

test("the guide's first address leads home, and an unknown one stays in the frame", async ({ admin, where }) => {
  const { page } = admin;
  await page.goto(`${where.public_url}/auth/login?return_to=/dashboard`);
  await page.locator("input[name=email]").fill(admin.email);
  await page.locator("form:has(input[name=email]) button").click();
  await expect(page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
  await expect(page).toHaveURL(`${where.public_url}/`);
  await admin.go("/flows");
  await expect(page).toHaveURL(/\/agents$/);
  for (const path of ["/nothing", "/constructor", "/calls/a/b"]) {
    await admin.go(path);
    await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
    await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
  }
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: /Admin/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
});
