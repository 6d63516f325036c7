/** Texts: one comes in and is answered, once, whatever the network does; contacts are imported; a campaign reaches everybody once. */
import { readFile, writeFile } from "node:fs/promises";
import { type Outside, expect, forgive, test } from "../journey.ts";
import { stranger, textNumber } from "../things.ts";

async function textsTo(outside: Outside, e164: string, body: string): Promise<number> {
  return (await outside.textsTo(e164)).filter((each) => each.body === body).length;
}

test("a text is answered once, though the answer of the server is lost", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const from = stranger();
  await outside.text(from, number.e164, "Do you have time on Friday?");
  await admin.go("/inbox");
  await page.getByRole("link", { name: /Do you have time on Friday/ }).click();
  const composer = page.getByRole("textbox", { name: /^Write to/ });
  await composer.fill("Yes, at ten.");
  await page.reload();
  await expect(composer).toHaveValue("Yes, at ten.");
  await admin.isRightInEverySize();
  await page.route("**/messages", async (route) => {
    if (route.request().method() !== "POST") return route.fallback();
    await route.fetch(); // the server has it, and the browser never hears so
    return route.abort();
  }, { times: 2 });
  await composer.press("Control+Enter");
  const again = page.getByRole("button", { name: "Try again" });
  await expect(again).toBeVisible();
  await page.unroute("**/messages");
  forgive(page);
  await page.reload();
  await again.click();
  await expect(again).toBeHidden();
  await expect(page.getByText("Delivered").first()).toBeVisible();
  expect(await textsTo(outside, from, "Yes, at ten.")).toBe(1);
});

test("two tabs have one draft, which leaves once", async ({ admin, outside, context }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const from = stranger();
  await outside.text(from, number.e164, "Are you open?");
  await admin.go("/inbox");
  await page.getByRole("link", { name: /Are you open/ }).click();
  const second = await context.newPage();
  await second.goto(page.url());
  const [mine, theirs] = [page, second].map((each) => each.getByRole("textbox", { name: /^Write to/ }));
  if (!mine || !theirs) throw new Error("two tabs");
  await expect(theirs).toBeVisible();
  await mine.fill("Until six.");
  await expect(theirs).toHaveValue("Until six.");
  await theirs.press("End");
  await theirs.pressSequentially("x");
  await theirs.press("Backspace");
  await expect(mine).toHaveValue("Until six.");
  await mine.press("Control+Enter");
  await expect(theirs).toHaveValue("");
  await expect(second.getByText("Delivered").first()).toBeVisible();
  expect(await textsTo(outside, from, "Until six.")).toBe(1);
});

test("what was never confirmed is for a person to decide once its key is old", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const from = stranger();
  await outside.text(from, number.e164, "When on Friday?");
  await admin.go("/inbox");
  await page.getByRole("link", { name: /When on Friday/ }).click();
  const composer = page.getByRole("textbox", { name: /^Write to/ });
  await page.route("**/messages", (route) => (route.request().method() === "POST" ? route.abort() : route.fallback()));
  await composer.fill("At ten.");
  await composer.press("Control+Enter");
  await expect(page.getByRole("button", { name: "Try again" })).toBeVisible();
  await page.unroute("**/messages");
  forgive(page);
  await page.evaluate((hours) => {
    for (const [key, kept] of Object.entries(localStorage)) {
      if (!key.startsWith("hum.thread.")) continue;
      const thread = JSON.parse(String(kept)) as { outbox: { at: string }[] };
      for (const each of thread.outbox) each.at = new Date(Date.parse(each.at) - hours * 3_600_000).toISOString();
      localStorage.setItem(key, JSON.stringify(thread));
    }
  }, 63);
  await page.reload();
  await expect(page.getByText(/^Not known whether it was sent/)).toBeVisible();
  await expect(page.getByRole("button", { name: "Try again" })).toHaveCount(0);
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: "Put it back to edit" }).click();
  await expect(composer).toHaveValue("At ten.");
  await expect(page.getByText(/^Not known whether it was sent/)).toHaveCount(0);
});

test("a conversation is put off, closed, and opened by undo, by keys alone", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  await outside.text(stranger(), number.e164, "Hello there");
  await admin.go("/inbox");
  await expect(page.getByRole("link", { name: /Hello there/ })).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("log", { name: "Messages" })).toContainText("Hello there");
  await page.keyboard.press("s");
  await expect(page.getByRole("button", { name: /^In two hours/ })).toBeFocused();
  await page.getByRole("button", { name: /^Tomorrow morning/ }).click();
  await expect(page.getByText(/^Snoozed until .+ UTC\.$/).first()).toBeVisible();
  await page.getByRole("button", { name: "Wake" }).click();
  await page.locator("h1").last().click();
  await page.keyboard.press("e");
  await expect(page.getByText("This conversation is closed.")).toBeVisible();
  await page.getByText(/^Closed\. /).locator("../..").getByRole("button", { name: "Undo" }).click(); // others offer it, too
  await expect(page.getByRole("textbox", { name: /^Write to/ })).toBeVisible();
});

test("a text that comes while it is closed says when the AI answers, and new hours hold at once", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin, { system_prompt: "You answer texts for a dental clinic." });
  const day = new Date(Date.now() + 3 * 86_400_000).toLocaleDateString("en-US", { weekday: "short", timeZone: "UTC" }).toLowerCase();
  await admin.api("PATCH", "/api/organization", { business_hours_json: { weekly: { [day]: [["07:00", "19:00"]] } }, quiet_hours_enabled: true });
  await outside.text(stranger(), number.e164, "Hello, what is your address?");
  await admin.go("/inbox");
  await page.getByRole("link", { name: /what is your address/ }).click();
  const waits = page.getByText(/^The AI answers when you open, .*7:00/);
  await expect(waits).toBeVisible({ timeout: 30_000 });
  await admin.isRightInEverySize();
  await admin.api("PATCH", "/api/organization", { business_hours_json: null });
  await expect(page.getByRole("log").getByText("AI", { exact: true })).toBeVisible({ timeout: 30_000 });
  await expect(waits).toBeHidden();
});

test("a sentence that was heard as an opt-out is undone after a question, and the carrier's own block is not", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const from = stranger();
  await outside.text(from, number.e164, "I moved away. No more texts, please");
  await admin.go("/inbox");
  await page.getByRole("link", { name: /you are unsubscribed/ }).click();
  await expect(page.getByText("Opted out by these words: “No more texts, please”")).toBeVisible();
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: "Undo the opt-out" }).click();
  const asked = page.getByRole("dialog", { name: /^Text .* again\?$/ });
  await expect(asked).toContainText("Only if the contact has asked for it.");
  await page.keyboard.press("Escape");
  await expect(page.getByText("Opted out by these words: “No more texts, please”")).toBeVisible();
  await page.getByRole("button", { name: "Undo the opt-out" }).click();
  await asked.getByRole("button", { name: "Opt in" }).click();
  await expect(page.getByRole("textbox", { name: /^Write to/ })).toBeVisible();
  await outside.text(from, number.e164, "STOP");
  await expect(page.getByText("The carrier refuses texts too, until the contact's handset sends START.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Undo the opt-out" })).toHaveCount(0);
});

test("contacts are imported after a look at what would happen", async ({ admin }) => {
  const { page } = admin;
  await textNumber(admin);
  await admin.go("/contacts/import");
  const e164 = stranger();
  // What is no list is told for what it is.
  const chooser = page.getByLabel("Choose a CSV file");
  await chooser.setInputFiles({ name: "contacts.csv", mimeType: "text/csv", buffer: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) });
  await expect(page.getByRole("alert")).toContainText("contacts.csv is a picture, no list.");
  await chooser.setInputFiles({ name: "none.csv", mimeType: "text/csv", buffer: Buffer.alloc(0) });
  await expect(page.getByRole("alert")).toContainText("none.csv is empty.");
  await chooser.setInputFiles({ name: "header.csv", mimeType: "text/csv", buffer: Buffer.from("phone,name\n") });
  await expect(page.getByRole("alert").first()).toContainText("header.csv has no rows below its header.");

  const list = `Teléfono;Nombre;shoe size;Birthday;Internal\n${e164};Ana Ruiz;38;31/12/1985;x\n12;Nobody;=40;1/2/1990;y\n`;
  await chooser.setInputFiles({ name: "clientes.csv", mimeType: "text/csv", buffer: Buffer.from(list) });
  const columns = page.getByRole("region", { name: "Columns" });
  await expect(columns.getByLabel("What Teléfono becomes")).toHaveValue("phone_e164");
  await expect(columns.getByLabel("What shoe size becomes")).toHaveValue("attribute:shoe_size");
  await expect(columns.getByLabel("What Birthday becomes")).toHaveValue("date:birthday");
  await expect(page.getByLabel("How dates are written")).toHaveValue("dmy");
  await columns.getByLabel("What Internal becomes").selectOption("Leave out");
  await columns.getByLabel("What Nombre becomes").selectOption("Notes");
  await columns.getByLabel("What Nombre becomes").selectOption("Name");
  await columns.getByLabel("What Teléfono becomes").selectOption("Leave out");
  await expect(page.getByText("Choose the column that holds the phone numbers.").first()).toBeVisible();
  await columns.getByLabel("What Teléfono becomes").selectOption("Phone number");
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.getByText("Nothing has changed yet.")).toBeVisible();
  await expect(page.getByText("Columns that are left out: Internal")).toBeVisible();
  await expect(page.getByRole("region", { name: "1 problem" })).toBeVisible();
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: "Import 1 contact" }).click();
  await expect(page.getByRole("link", { name: "To the contacts" })).toBeVisible();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download 1 row that can't be imported" }).click();
  const file = await readFile(await (await download).path(), "utf8");
  expect(file).toBe("line,reason,Teléfono,Nombre,shoe size,Birthday,Internal\r\n3,Teléfono: is not a possible phone number,12,Nobody,'=40,1/2/1990,y\r\n");
  await page.reload();
  await expect(page.getByText("Attribute birthday, a date")).toBeVisible();
  await page.getByRole("link", { name: "To the contacts" }).click();
  await page.getByRole("link", { name: "Ana Ruiz" }).click();
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("Ana Ruiz");
  expect((await admin.api<{ contacts: { attributes_json: unknown }[] }>("GET", "/api/contacts")).contacts[0]?.attributes_json).toEqual({ shoe_size: "38", birthday: "1985-12-31" });
  await expect(page.getByText("Allowed")).toHaveCount(2);

  // From there one calls or texts; a text that was begun is there for who comes back.
  await page.getByRole("button", { name: "Text", exact: true }).click();
  await expect(page.getByRole("dialog").getByLabel("To", { exact: true })).toHaveValue(e164);
  await page.getByRole("dialog").getByLabel("Text", { exact: true }).fill("Your shoes are here.");
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/inbox$/);
  await page.getByRole("button", { name: "New text" }).first().click();
  await expect(page.getByRole("dialog").getByLabel("Text", { exact: true })).toHaveValue("Your shoes are here.");
  forgive(page); // who never opted out is not known to the opt-outs: a 404
});

test("a campaign says what it would do, and reaches everybody once", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const people = [stranger(), stranger()];
  await admin.go("/campaigns/new");
  await page.getByLabel("Name").fill("Reminder");
  await page.getByLabel("From").selectOption(number.id);
  await page.getByLabel("Text", { exact: true }).fill("We are open tomorrow.");
  await page.getByLabel("Keep quiet hours").uncheck();
  await page.getByText("Pasted numbers").click();
  await page.getByLabel("Numbers", { exact: true }).fill([...people, people[0]].join("\n"));
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: "Save and see what would happen" }).click();
  await expect(page.getByRole("region", { name: "The first texts as they would be sent" })).toContainText("We are open tomorrow.");
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Launch" }).click();
  await expect(page.getByText("Completed")).toBeVisible({ timeout: 45_000 });
  for (const each of people) expect(await textsTo(outside, each, "We are open tomorrow.")).toBe(1);
});

test("a campaign's list is a list, and no longer than a campaign", async ({ admin }, info) => {
  const { page } = admin;
  await textNumber(admin);
  await admin.go("/campaigns/new");
  const chooser = page.getByLabel("Choose a CSV file");
  const alert = page.getByRole("alert");
  await chooser.setInputFiles({ name: "list.pdf", mimeType: "application/pdf", buffer: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) });
  await expect(alert).toContainText("list.pdf is a picture, no list.");
  await chooser.setInputFiles({ name: "none.csv", mimeType: "text/csv", buffer: Buffer.alloc(0) });
  await expect(alert).toContainText("none.csv is empty.");
  await chooser.setInputFiles({ name: "header.csv", mimeType: "text/csv", buffer: Buffer.from("phone,name\n") });
  await expect(alert).toContainText("header.csv has no rows below its header.");
  const everybody = info.outputPath("everybody.csv");
  await writeFile(everybody, `phone,name\n${"+13175550100,Ana\n".repeat(900_000)}`);
  await chooser.setInputFiles(everybody);
  await expect(alert).toContainText("everybody.csv has more than 200,000 rows, and one campaign takes at most 200,000 recipients.");
  const some = info.outputPath("some.csv");
  await writeFile(some, `phone,name\n${"+13175550100,Ana\n".repeat(200_000)}`);
  await chooser.setInputFiles(some);
  await expect(page.getByText("200,000 recipients").last()).toBeVisible();
  await expect(alert).toHaveCount(0);
});
