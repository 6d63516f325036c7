/** What a person sets up on the first day: where they are, when they are open, the numbers they know by heart. */
import { expect, fresh, test } from "../journey.ts";
import { clinic } from "../things.ts";

test("two hours of a day that overlap are marked, and not saved", async ({ admin }) => {
  const { page } = admin;
  const weekly = { mon: [["08:00", "12:00"], ["13:00", "17:00"]] };
  const { id } = await admin.api<{ id: string }>("POST", "/api/flows", { name: fresh("Desk"), business_hours_json: { weekly } });
  await admin.go(`/agents/${id}`);
  const opens = page.getByLabel("Monday opens").filter({ visible: true });
  const fault = page.getByText("Begins before the hours above end").filter({ visible: true });
  await opens.nth(1).fill("11:00");
  await page.getByLabel("Greeting").click(); // what leaves the field changes nothing
  await expect(opens).toHaveCount(2);
  await expect(fault).toBeVisible();
  await admin.isAccessible();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(opens.nth(1)).toBeFocused();
  expect(await admin.api("GET", `/api/flows/${id}`)).toMatchObject({ version: 1, business_hours_json: { weekly } });
  await opens.nth(1).fill("12:30");
  await expect(fault).toBeHidden();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved as version 2.")).toBeVisible();
});

test.describe("in Indianapolis", () => {
  test.use({ timezoneId: "America/Indiana/Indianapolis" });

  test("an organization begins in its person's zone, and finds another by a city", async ({ context, where }) => {
    const page = await context.newPage();
    await page.goto(`${where.public_url}/auth/login?return_to=/`);
    await page.locator("input[name=email]").fill(`${fresh("founder")}@example.com`);
    await page.locator("form:has(input[name=email]) button").click();
    await page.getByLabel("Name").fill(fresh("Clinic"));
    await page.getByRole("button", { name: "Create" }).click();
    await expect(page.getByRole("button", { name: /Admin · E[SD]T/ })).toBeVisible();
    await page.goto(`${where.public_url}/settings`);
    const zone = page.getByRole("combobox", { name: "Time zone" }).first();
    await expect(zone).toHaveValue("America/Indiana/Indianapolis");
    await zone.fill("Boston");
    await expect(page.getByRole("option", { name: /Boston/ })).toBeVisible();
    await page.keyboard.press("Enter");
    await expect(zone).toHaveValue("America/New York");
    await zone.fill("Atlantis");
    await page.getByRole("button", { name: "Save" }).first().click();
    await expect(page.getByText("No place by that name")).toBeVisible();
    await zone.fill("denver");
    await page.getByRole("option", { name: /Denver/ }).click();
    await page.getByRole("button", { name: "Save" }).first().click();
    await expect(page.getByRole("button", { name: /Admin · M[SD]T/ })).toBeVisible();
  });
});

test("a number is taken as one writes it here, and a refusal is a sentence in one's language", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/contacts");
  await page.getByRole("button", { name: "New contact" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Phone").fill("317-555");
  await dialog.getByRole("button", { name: "New contact" }).click();
  await expect(dialog.getByText("“317-555” is not a phone number.")).toBeVisible();
  await admin.isAccessible();
  await dialog.getByLabel("Phone").fill("317-555-0177");
  await dialog.getByRole("button", { name: "New contact" }).click();
  await expect(page).toHaveURL(/\/contacts\/contact_/);
  expect(await admin.api("GET", "/api/contacts")).toMatchObject({ contacts: [{ phone_e164: "+13175550177" }] });

  await page.evaluate(() => localStorage.setItem("hum.language", "es"));
  await admin.go("/calls/blocked");
  await page.getByRole("button", { name: "Bloquear un número" }).first().click();
  await dialog.getByLabel("Número").fill("recepción");
  await dialog.getByRole("button", { name: "Bloquear" }).click();
  await expect(dialog.getByText("«recepción» no es un número de teléfono.")).toBeVisible();
  await dialog.getByLabel("Número").fill("(317) 555 0178");
  await dialog.getByRole("button", { name: "Bloquear" }).click();
  await expect(page.getByText(/555.0178/).first()).toBeVisible();
});

test("what is practice is said, and the practice model uses the agent's tools", async ({ admin }) => {
  const { page } = admin;
  const { flowId, e164 } = await clinic(admin);
  const tool = await admin.api<{ id: string }>("POST", "/api/tools", {
    name: "book_appointment",
    description: "Book a time at the clinic.",
    parameters_json: { type: "object", properties: { name: { type: "string" }, when: { type: "string" } }, required: ["name", "when"] },
    method: "POST",
    url: "https://clinic.example.com/book",
    body_json: { name: "{{ args.name }}", when: "{{ args.when }}" },
  });
  await admin.api("POST", `/api/flows/${flowId}/tools`, { tool_id: tool.id });
  await admin.go("/");
  const note = page.getByRole("region", { name: "Practice" });
  await expect(note).toContainText("No telephone reaches these numbers");
  await expect(page.getByText(`hum call --to ${e164}`)).toBeVisible();
  await expect(note.getByRole("link", { name: "How to go live" })).toHaveAttribute("href", "/guides/going-live");
  await note.getByRole("button").click();
  await expect(note).toBeHidden();

  await admin.go(`/agents/${flowId}?tab=try`);
  await expect(page.getByRole("region", { name: "Practice" })).toBeHidden();
  await page.getByText("A practice model answers.").click();
  await expect(page.getByText("transfers when you ask for a person")).toBeVisible();
  const say = async (text: string, answer: string | RegExp): Promise<void> => {
    await page.getByLabel("What the caller says").fill(text);
    await page.getByRole("button", { name: "Send" }).click();
    await expect(page.getByRole("log").getByText(answer).last()).toBeVisible();
  };
  await say("I would like to book an appointment.", "May I have your name?");
  await say("Grace Hopper.", "What day and time would suit you?");
  await say("Tuesday at three.", "book_appointment");
  await admin.isAccessible();
});
