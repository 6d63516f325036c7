/** Agents: made, edited beside their JSON, tried by text and by voice, compared; and nobody writes over anybody. */
import { type Person, expect, fresh, test } from "../journey.ts";

const HOURS = { time_zone: "America/New_York", weekly: { mon: [["09:00", "17:00"]], fri: [["08:00", "14:00"]] } };

async function agent(admin: Person, fields: Record<string, unknown> = {}): Promise<string> {
  const { id } = await admin.api<{ id: string }>("POST", "/api/flows", { name: fresh("Desk"), greeting: "Clinic, hello.", system_prompt: "You answer a clinic's calls.", ...fields });
  return id;
}

test("an agent is described, and made of what is proposed", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/agents");
  await page.getByRole("link", { name: "Describe it" }).click();
  await page.getByLabel("What does your business do").fill("The bakery is open Monday to Friday 7am to 3pm. It takes orders for cakes.");
  await page.getByRole("button", { name: "Propose an agent" }).click();
  await expect(page.getByRole("button", { name: "Create this agent" })).toBeVisible();
  await admin.isAccessible();
  await page.getByRole("checkbox", { name: "Voice" }).uncheck();
  await page.getByRole("button", { name: "Create this agent" }).click();
  await expect(page).toHaveURL(/\/agents\/flow_/);
  await expect(page.getByRole("group", { name: "The week" }).getByText(/^7\sAM–3\sPM$/).first()).toBeVisible();
  await admin.isRightInEverySize();
});

test("hours described once are the organization's, and instructions that say others are told", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/agents/new");
  await page.getByLabel("What does your business do").fill("Riverside Dental, a practice. Open Monday to Thursday 8 to 5 with a lunch break from 12 to 1, Friday 8 to 2. It books visits.");
  await page.getByRole("button", { name: "Propose an agent" }).click();
  await expect(page.getByRole("definition").filter({ hasText: /^8:00\sAM–2:00\sPM$/ })).toBeVisible();
  await expect(page.getByRole("region", { name: "I read these in your description" })).toBeHidden();
  await page.getByLabel("Use these hours for the whole organization").check();
  await admin.isAccessible();
  await page.getByRole("button", { name: "Create this agent" }).click();
  await expect(page).toHaveURL(/\/agents\/flow_/);
  const id = new URL(page.url()).pathname.split("/").pop() ?? "";
  const made = await admin.api<{ business_hours_json: unknown; system_prompt: string }>("GET", `/api/flows/${id}`);
  expect(made.business_hours_json).toBeNull();
  expect(made.system_prompt).not.toContain("8 to");
  const shared = await admin.api<{ business_hours_json: { weekly: { fri: string[][] } } }>("GET", "/api/organization");
  expect(shared.business_hours_json.weekly.fri).toEqual([["08:00", "14:00"]]);
  await expect(page.getByRole("definition").filter({ hasText: /^8:00\sAM–2:00\sPM$/ })).toBeVisible();
  await page.getByRole("textbox", { name: "Instructions" }).fill("You answer for Riverside Dental. Open Monday to Friday 7 to 7.");
  await expect(page.getByText("The instructions say other hours: 7 to 7.")).toBeVisible();
  await admin.isAccessible();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await admin.go("/settings?tab=hours");
  await expect(page.getByRole("note")).toBeHidden();
  const own = fresh("Own hours");
  await agent(admin, { name: own, business_hours_json: HOURS });
  await page.reload();
  await expect(page.getByRole("note").getByRole("link", { name: own })).toBeVisible();
});

test("a draft that another tab saved is offered no more", async ({ admin }) => {
  const { page } = admin;
  const id = await agent(admin);
  await admin.go(`/agents/${id}`);
  await page.getByLabel("Greeting").fill("Half a thought");
  const second = await page.context().newPage();
  await second.goto(page.url());
  await expect(second.getByText(/^There are changes of 1 field/)).toBeVisible();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved as version 2.")).toBeVisible();
  await expect(second.getByText(/^There are changes of 1 field/)).toBeHidden();
  await second.close();
});

test("a clinic is described with its breaks, closed days and colleagues, and has them all", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/agents/new");
  const described = page.getByLabel("What does your business do");
  await described.fill("Lakeside Dental is open 8am to 12pm and 1pm to 5pm, Monday to Friday, closed December 25. Dr. Lee +1 317 555 0142, billing: 317-555-0188. Also closed 12/26.");
  await page.getByRole("button", { name: "Propose an agent" }).click();
  const week = page.getByRole("definition").filter({ hasText: /8:00\sAM–12:00\sPM, 1:00\sPM–5:00\sPM/ });
  await expect(week).toBeVisible();
  await expect(page.getByRole("term").filter({ hasText: "Dr. Lee" })).toBeVisible();
  await expect(page.getByRole("definition").filter({ hasText: "+1 317 555 0188" })).toBeVisible();
  await expect(page.getByRole("region", { name: "I read these in your description" })).toContainText("Closed days and dates: 12/26");
  await admin.isAccessible();
  await page.getByRole("button", { name: "Create this agent" }).click();
  await expect(page).toHaveURL(/\/agents\/flow_/);
  const id = new URL(page.url()).pathname.split("/").pop() ?? "";
  const made = await admin.api<{ business_hours_json: { weekly: Record<string, string[][]>; holidays: string[] }; transfer_map_json: Record<string, string> }>("GET", `/api/flows/${id}`);
  expect(Object.keys(made.business_hours_json.weekly)).toEqual(["mon", "tue", "wed", "thu", "fri"]);
  expect(made.business_hours_json.weekly["fri"]).toEqual([["08:00", "12:00"], ["13:00", "17:00"]]);
  expect(made.business_hours_json.holidays).toEqual([expect.stringMatching(/^20\d\d-12-25$/)]);
  expect(made.transfer_map_json).toEqual({ "Dr. Lee": "+13175550142", Billing: "+13175550188" });
});

test("the form and the JSON are one, and a refusal stands at its field", async ({ admin }) => {
  const { page } = admin;
  const id = await agent(admin, { business_hours_json: HOURS });
  await admin.go(`/agents/${id}`);
  await page.getByRole("button", { name: "Form and JSON" }).click();
  const json = page.getByRole("textbox", { name: "The agent as JSON" });
  await page.getByLabel("Language").fill("no language!");
  await expect(json).toContainText("no language!");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByLabel("Language")).toHaveAccessibleDescription(/must be a language tag/);
  await page.getByLabel("Language").fill("en-US");
  await page.getByRole("button", { name: /^Friday, 8\sAM–2\sPM$/ }).focus();
  await page.keyboard.press("Shift+ArrowRight");
  await expect(json).toContainText("14:15");
  await page.keyboard.press("Control+s");
  await expect(page.getByText("Saved as version 2.")).toBeVisible();
  const saved = await admin.api<{ language: string; business_hours_json: { weekly: { fri: string[][] } } }>("GET", `/api/flows/${id}`);
  expect([saved.language, saved.business_hours_json.weekly.fri]).toEqual(["en-US", [["08:00", "14:15"]]]);
});

test("a recording that no caller is told of is warned about", async ({ admin }) => {
  const { page } = admin;
  await admin.go(`/agents/${await agent(admin, { recording_enabled: true, announce_recording: false })}`);
  const warning = page.getByText("Callers are not told that they are recorded.");
  await expect(warning).toBeVisible();
  await page.getByLabel("Announce the recording").check();
  await expect(warning).toBeHidden();
});

test("what somebody else has saved meanwhile is shown, and not written over", async ({ admin }) => {
  const { page } = admin;
  const id = await agent(admin);
  await admin.go(`/agents/${id}`);
  await page.getByLabel("Greeting").fill("Mine.");
  await admin.api("PATCH", `/api/flows/${id}`, { greeting: "Theirs.", hold_phrase: "A moment." });
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Version 2 was saved meanwhile" });
  await expect(dialog.getByText("Theirs.")).toBeVisible();
  await admin.isAccessible();
  await dialog.getByRole("button", { name: "Mine", exact: true }).click();
  await dialog.getByRole("button", { name: "Save together" }).click();
  await expect(page.getByText("Saved as version 3.")).toBeVisible();
  expect(await admin.api("GET", `/api/flows/${id}`)).toMatchObject({ greeting: "Mine.", hold_phrase: "A moment." });
});

test("changes that are not saved wait for who comes back", async ({ admin }) => {
  const { page } = admin;
  const id = await agent(admin);
  await admin.go(`/agents/${id}`);
  await page.getByLabel("Greeting").fill("Half a sent");
  await page.getByRole("link", { name: "← Agents" }).click();
  await page.getByRole("button", { name: "Leave, keep the draft" }).click();
  await expect(page).toHaveURL(/\/agents$/);
  await admin.go(`/agents/${id}`);
  await page.getByRole("button", { name: "Take them up" }).click();
  await expect(page.getByLabel("Greeting")).toHaveValue("Half a sent");
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await expect(page.getByLabel("Greeting")).toHaveValue("Clinic, hello.");
});

test("an agent is tried by text with changes that are not saved, and again from an earlier turn", async ({ admin }) => {
  const { page } = admin;
  const id = await agent(admin);
  await admin.go(`/agents/${id}`);
  await page.getByLabel("Greeting").fill("Unsaved, hello.");
  await page.getByRole("link", { name: "Try", exact: true }).click();
  await page.getByRole("button", { name: "Let it begin" }).click();
  await expect(page.getByRole("article", { name: "Agent" })).toContainText("Unsaved, hello.");
  await page.getByLabel("What the caller says").fill("Are you open?");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("article", { name: "Agent" })).toHaveCount(2);
  await page.getByRole("button", { name: "Change this line" }).click();
  await page.getByRole("textbox", { name: "Change this line" }).fill("Do you take walk-ins?");
  await page.getByRole("button", { name: "Go on from here" }).click();
  await expect(page.getByRole("article", { name: "You" })).toHaveText("Do you take walk-ins?");
  await expect(page.getByRole("article", { name: "Agent" })).toHaveCount(2);
  await page.getByRole("link", { name: "By voice" }).click();
  await expect(page.getByRole("button", { name: "Call the agent" })).toBeVisible();
  await expect(page.getByText("A call has the saved version 1")).toBeVisible();
  await admin.isRightInEverySize();
});

test("two versions are compared, and an old one comes back as a new one", async ({ admin }) => {
  const { page } = admin;
  const id = await agent(admin);
  await admin.api("PATCH", `/api/flows/${id}`, { greeting: "Second." });
  await admin.go(`/agents/${id}?tab=versions`);
  await expect(page.getByRole("heading", { name: "Version 1 and version 2" })).toBeVisible();
  await expect(page.locator(".cm-merge-b")).toContainText("Second.");
  await admin.isRightInEverySize();
  await page.getByRole("button", { name: "Restore version 1" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore version 1" }).click();
  await expect(page.getByText("Version 1 is back, as version 3.")).toBeVisible();
});

test("an agent that something uses says by what, instead of being deleted", async ({ admin }) => {
  const { page } = admin;
  const used = await agent(admin, { name: "Billing" });
  await agent(admin, { name: "Front desk", transfer_map_json: { billing: used } });
  await admin.go("/agents");
  await page.getByRole("button", { name: "Delete Billing" }).click();
  await expect(page.getByRole("dialog").getByRole("link", { name: "Front desk" })).toBeVisible();
  await page.keyboard.press("Escape");
  await admin.isRightInEverySize();
});
