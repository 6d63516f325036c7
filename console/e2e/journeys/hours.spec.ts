/** Texts outside of hours: the console asks before one leaves, and a campaign says what time it is where its recipients are. */
import { type Person, expect, forgive, test } from "../journey.ts";
import { stranger, textNumber } from "../things.ts";

interface Message {
  body: string;
  status: string;
  source: string | null;
}

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Hours that are closed now, and for two days more. */
async function closed(person: Person): Promise<void> {
  const day = DAYS[(new Date().getUTCDay() + 3) % 7] ?? "mon";
  await person.api("PATCH", "/api/organization", { time_zone: "UTC", quiet_hours_enabled: true, business_hours_json: { weekly: { [day]: [["09:00", "17:00"]] } } });
}

test("a text outside of hours waits if its writer says so", async ({ admin }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  await closed(admin);
  const to = stranger();
  const { id } = await admin.api<{ id: string }>("POST", "/api/sms/conversations", { twilio_number_id: number.id, contact_e164: to });
  const messages = async (): Promise<Message[]> => (await admin.api<{ messages: Message[] }>("GET", `/api/sms/conversations/${id}/messages`)).messages;
  await admin.go(`/inbox/${id}`);
  const composer = page.getByRole("textbox", { name: /^Write to/ });
  await expect(page.getByText("You are asked before a text leaves.")).toBeVisible();
  await composer.fill("Your results are here.");
  await composer.press("Control+Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("Texts wait for your hours");
  await admin.isAccessible();
  expect(await messages()).toEqual([]);
  await dialog.getByRole("button", { name: /^Send it \w{3}, / }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await messages()).map((each) => [each.status, each.source])).toEqual([["scheduled", "quiet_hours"]]);
  await composer.fill("Please call us now.");
  await composer.press("Control+Enter");
  await dialog.getByRole("button", { name: "Send it now" }).click();
  await expect.poll(async () => (await messages()).find((each) => each.body === "Please call us now.")?.status).toMatch(/queued|sent|delivered/);
});

test("a dialog that can't be loaded leaves the conversation as it is, and comes with the network", async ({ admin, context }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  await closed(admin);
  const { id } = await admin.api<{ id: string }>("POST", "/api/sms/conversations", { twilio_number_id: number.id, contact_e164: stranger() });
  await context.route(/dialog-base/, (route) => route.abort()); // what is asked for ahead fails as well
  await admin.go(`/inbox/${id}`);
  const composer = page.getByRole("textbox", { name: /^Write to/ });
  await expect(page.getByText("You are asked before a text leaves.")).toBeVisible();
  await composer.fill("Your results are here.");
  await context.setOffline(true);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  const notices = page.getByRole("region", { name: "Notices" });
  await expect(notices.getByText("The server can't be reached.")).toBeVisible();
  await expect(notices.getByRole("button", { name: "Try again" })).toBeVisible();
  await expect(composer).toHaveValue("Your results are here.");
  await context.unroute(/dialog-base/);
  await context.setOffline(false);
  await expect(page.getByRole("dialog")).toContainText("Texts wait for your hours");
  await expect(notices.getByText("The server can't be reached.")).toBeHidden();
  await page.keyboard.press("Escape");
  await expect(composer).toHaveValue("Your results are here.");
  forgive(page);
});

test("on a phone, hours show their AM and PM", async ({ admin }) => {
  const { page } = admin;
  await admin.api("PATCH", "/api/organization", { business_hours_json: { weekly: { mon: [["07:00", "19:00"]] } } });
  await page.setViewportSize({ width: 390, height: 844 });
  await admin.go("/settings?tab=hours");
  const cut = await page.getByLabel("Monday: opens", { exact: true }).evaluate((box: HTMLInputElement) => {
    const shown = box.offsetWidth;
    box.style.width = "auto";
    return box.offsetWidth - shown;
  });
  expect(cut, "no narrower than what it shows").toBeLessThanOrEqual(0);
  await admin.isRightInEverySize();
});

test("a first text outside of hours asks too", async ({ admin }) => {
  const { page } = admin;
  await textNumber(admin);
  await closed(admin);
  const to = stranger();
  await admin.go("/inbox");
  await page.getByRole("button", { name: "New text" }).first().click();
  const dialog = page.getByRole("dialog").first();
  await dialog.getByLabel("To", { exact: true }).fill(to);
  await dialog.getByLabel("Text", { exact: true }).fill("Hello, this is the clinic.");
  await expect(dialog.getByText("You are asked before a text leaves.")).toBeVisible();
  await dialog.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByRole("button", { name: /^Send it \w{3}, / }).click();
  await expect(page).toHaveURL(/\/inbox\/conv_/);
  const waiting = await admin.api<{ messages: Message[] }>("GET", "/api/sms/scheduled");
  expect(waiting.messages.map((each) => [each.body, each.source])).toEqual([["Hello, this is the clinic.", "quiet_hours"]]);
});

test("a campaign says which hours it keeps, and what time it is there", async ({ admin }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  await admin.api("PATCH", "/api/organization", { recipient_hours_enabled: true });
  const campaign = { name: "Recall", twilio_number_id: number.id, body_template: "Time for a check-up. Reply STOP to opt out.", recipients: [{ contact_e164: "+13175551234" }, { contact_e164: "+12135551234" }] };
  const { id } = await admin.api<{ id: string }>("POST", "/api/sms/campaigns", campaign);
  await admin.go(`/campaigns/${id}`);
  await expect(page.getByText("Day where the contact is", { exact: true })).toBeVisible();
  await expect(page.getByText(/ in New York: 1$/)).toBeVisible();
  await expect(page.getByText(/ in Los Angeles: 1$/)).toBeVisible();
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(page.getByRole("dialog").getByText(/ in New York: 1$/)).toBeVisible();
  await admin.isAccessible();
  await admin.api("PATCH", `/api/sms/campaigns/${id}`, { honor_quiet_hours: false });
  await page.reload();
  await expect(page.getByText("None: texted at any hour")).toBeVisible();
  // A look at it is no launch.
  const { entries } = await admin.api<{ entries: { action: string }[] }>("GET", "/api/audit-log");
  expect(entries.map((each) => each.action)).not.toContain("launchCampaign");
});
