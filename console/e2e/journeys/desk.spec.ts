/** What one does with calls: says something, transfers, takes over, hangs up; files what was said; places calls; hears messages; decides. */
import { type Outside, type Person, expect, test } from "../journey.ts";
import { Customer, clinic, confirm, listed, stranger, textNumber } from "../things.ts";

interface Call {
  id: string;
  status: string;
  end_reason: string | null;
  tags: string[];
  transcript: { role: string; text: string }[];
  transfers: { to: string; asked_by: string }[];
}

/** A call whose caller talks on until somebody ends it; its page is open and it is answered. */
async function live(admin: Person, outside: Outside, to: string): Promise<{ call: () => Promise<Call>; over: Promise<unknown>; end: () => Promise<unknown> }> {
  const lines = Array.from({ length: 8 }, (_, at) => `Please wait a moment, I am looking for page ${at} of the letter.`);
  const over = outside.call(to, lines, stranger());
  let found: Call | undefined;
  await expect
    .poll(
      async () => {
        found = (await admin.api<{ calls: Call[] }>("GET", "/api/calls?limit=1")).calls[0];
        return found?.status;
      },
      { timeout: 30_000 },
    )
    .toBe("in_progress");
  await admin.go(`/calls/${found?.id}`);
  const end = async (): Promise<unknown> => {
    await admin.page.request.post(`${admin.url}/api/calls/${found?.id}/hangup`, { headers: { Origin: admin.url }, data: {} }); // refused once it is over
    return over;
  };
  return { call: () => admin.api<Call>("GET", `/api/calls/${found?.id}`), over, end };
}

test("a live call is said something, and hung up", async ({ admin, outside }) => {
  const { page } = admin;
  const { call, over } = await live(admin, outside, (await clinic(admin)).e164);
  await page.getByRole("radio", { name: "Say to the caller" }).click();
  await page.getByRole("textbox", { name: "Say to the caller" }).fill("A colleague will call you back.");
  await page.keyboard.press("Enter");
  await expect.poll(async () => JSON.stringify(await call()), { timeout: 20_000 }).toContain("A colleague will call you back.");
  await page.getByRole("button", { name: "Hang up" }).click();
  await confirm(page, "Hang up");
  await expect.poll(call, { timeout: 20_000 }).toMatchObject({ status: "completed", end_reason: "hang_up" });
  await over;
});

test("a live call is transferred, another taken over", async ({ admin, outside }) => {
  const { page } = admin;
  const { e164 } = await clinic(admin, { recording_enabled: false });
  const [colleague, mine] = [stranger(), stranger()];
  const first = await live(admin, outside, e164);
  await page.getByRole("button", { name: "Transfer" }).click();
  await page.getByRole("dialog").getByLabel("Number", { exact: true }).or(page.getByRole("dialog").getByPlaceholder("+13175550123")).first().fill(colleague);
  await page.getByRole("dialog").getByRole("button", { name: "Transfer" }).click();
  await expect.poll(async () => (await first.call()).transfers.map((each) => each.to), { timeout: 20_000 }).toEqual([colleague]);
  const { user } = await admin.api<{ user: { name: string | null; email: string } }>("GET", "/api/me");
  await expect(page.getByText(`Asked for by ${user.name ?? user.email}`)).toBeVisible();
  await first.end();
  const second = await live(admin, outside, e164);
  await page.getByRole("button", { name: "Take over" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill(mine);
  await page.getByRole("dialog").getByRole("button", { name: "Take over" }).click();
  await expect.poll(async () => (await second.call()).transfers.map((each) => each.to), { timeout: 20_000 }).toEqual([mine]);
  await second.end();
});

test("a call that is over is tagged and noted with ways back, its caller named and blocked, and it is deleted", async ({ admin, outside }) => {
  const { page } = admin;
  const { e164 } = await clinic(admin, { recording_enabled: false });
  const from = stranger();
  await outside.call(e164, ["Hello."], from);
  const [found] = (await admin.api<{ calls: Call[] }>("GET", "/api/calls")).calls;
  const path = `/api/calls/${found?.id}`;
  const tags = async (): Promise<string[]> => (await admin.api<Call>("GET", path)).tags;
  const notes = async (): Promise<string[]> => (await admin.api<{ notes: { body: string }[] }>("GET", `${path}/notes`)).notes.map((each) => each.body);
  await admin.go(`/calls/${found?.id}`);
  await page.getByRole("textbox", { name: "Add a tag" }).fill("follow-up");
  await page.keyboard.press("Enter");
  await expect.poll(tags).toEqual(["follow-up"]);
  await page.getByRole("button", { name: "Remove the tag follow-up" }).click();
  await expect.poll(tags).toEqual([]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(tags, "the tag is back").toEqual(["follow-up"]);

  await page.getByRole("textbox", { name: "Add a note" }).fill("Call her back.");
  await page.keyboard.press("Control+Enter");
  await expect.poll(notes).toEqual(["Call her back."]);
  await page.getByRole("button", { name: "Edit the note" }).click();
  await page.getByRole("textbox", { name: "Edit the note" }).fill("Call her back on Monday.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(notes).toEqual(["Call her back on Monday."]);
  await page.getByRole("button", { name: "Delete the note" }).click();
  await expect.poll(notes).toEqual([]);
  await page.getByRole("button", { name: "Undo" }).last().click();
  await expect.poll(notes).toEqual(["Call her back on Monday."]);

  // On paper it has its day, whose it was, and what colleagues made of it.
  const { organization } = await admin.api<{ organization: { name: string } }>("GET", "/api/me");
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  const paper = page.getByRole("region", { name: "The call on paper" });
  for (const said of [organization.name, String(new Date().getFullYear()), "follow-up", "Call her back on Monday."]) await expect(paper).toContainText(said);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  await expect(paper).toBeHidden();

  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Make a contact" }).click();
  await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("Rosa Parks");
  await page.getByRole("dialog").getByRole("button").last().click();
  await expect.poll(listed<{ name: string; phone_e164: string }>(admin, "/api/contacts", "contacts")).toMatchObject([{ name: "Rosa Parks", phone_e164: from }]);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete the call" }).click();
  await confirm(page, "Delete the call", "delete");
  await expect.poll(listed(admin, "/api/calls", "calls")).toEqual([]);
});

test("a call is placed, another put off and canceled", async ({ admin }) => {
  const { page } = admin;
  const { flowId } = await clinic(admin, { recording_enabled: false });
  const calls = listed<{ to: string; status: string }>(admin, "/api/outbound/calls", "calls");
  const [now, later] = [stranger(), stranger()];
  const order = async (to: string): Promise<void> => {
    await admin.go("/calls/scheduled");
    await page.getByRole("button", { name: "Place a call" }).first().click();
    await page.getByLabel("Whom to call").fill(to);
    await page.getByRole("dialog").getByLabel("Agent", { exact: true }).selectOption(flowId);
  };
  await order(later);
  await page.getByRole("switch", { name: "Later" }).check();
  await page.getByLabel("Day", { exact: true }).fill(new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10));
  await page.getByLabel(/^Time \(/).fill("10:00");
  await page.getByRole("button", { name: "Schedule it" }).click();
  await expect.poll(calls).toMatchObject([{ to: later, status: "queued" }]);
  await page.getByRole("button", { name: "Cancel the call" }).click();
  await confirm(page, "Cancel the call");
  await expect.poll(calls).toMatchObject([{ to: later, status: "canceled" }]);
  await order(now);
  await page.getByRole("switch", { name: "Also in quiet hours" }).check();
  await page.getByRole("button", { name: "Call now" }).click();
  await expect(page).toHaveURL(/\/calls\/call_|\/calls\/(?!scheduled)/);
  await expect.poll(async () => (await calls()).map((each) => each.to)).toContain(now);
});

test("a message is marked as heard and not heard, and deleted", async ({ admin, outside }) => {
  const { page } = admin;
  const day = new Date(Date.now() + 3 * 86_400_000).toLocaleDateString("en-US", { weekday: "short", timeZone: "UTC" }).toLowerCase();
  const { e164 } = await clinic(admin, { voicemail_enabled: true, business_hours_json: { weekly: { [day]: [["09:00", "09:15"]] } } });
  await outside.call(e164, ["Please call me back about my appointment on Friday.", "Thank you, and goodbye."], stranger());
  interface Voicemail {
    id: string;
    heard: boolean;
  }
  const voicemails = listed<Voicemail>(admin, "/api/voicemails", "voicemails");
  await expect.poll(async () => (await voicemails()).length, { timeout: 30_000 }).toBe(1);
  await admin.go("/voicemails");
  await page.getByRole("row").nth(1).getByRole("link").first().click();
  await page.getByRole("button", { name: "Mark as heard" }).click();
  await expect.poll(voicemails).toMatchObject([{ heard: true }]);
  await page.getByRole("button", { name: "Mark as not heard" }).click();
  await expect.poll(voicemails).toMatchObject([{ heard: false }]);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await confirm(page, "Delete");
  await expect.poll(voicemails).toEqual([]);
});

test("what an agent may not do alone is approved, and denied", async ({ admin, outside }) => {
  const { page } = admin;
  await using shop = await Customer.serve();
  shop.answers.set("/orders", { body: '{"state": "shipped"}' });
  const number = await textNumber(admin, { name: "Shop texts", sms_config_json: { debounce_ms: 0 } });
  const { flows } = await admin.api<{ flows: { id: string }[] }>("GET", "/api/flows");
  const tool = await admin.api<{ id: string }>("POST", "/api/tools", { name: "cancel_order", description: "Cancels an order.", url: `${shop.url}/orders`, requires_approval: true });
  await admin.api("POST", `/api/flows/${flows[0]?.id}/tools`, { tool_id: tool.id });
  const states = async (): Promise<string[]> => (await admin.api<{ approvals: { status?: string; state?: string }[] }>("GET", "/api/approvals")).approvals.map((each) => each.status ?? each.state ?? "");
  await admin.go("/approvals");
  await outside.text(stranger(), number.e164, "Please cancel order seven");
  await page.getByRole("button", { name: "Approve", exact: true }).click({ timeout: 30_000 });
  await expect.poll(states).toEqual(["done"]);
  expect(shop.got.map((each) => each.path)).toEqual(["/orders"]);
  await outside.text(stranger(), number.e164, "Please cancel order eight");
  await page.getByRole("button", { name: "Deny", exact: true }).first().click({ timeout: 30_000 });
  await page.getByLabel("Why not").fill("It has left.");
  await page.getByLabel("Why not").press("Enter");
  await expect.poll(states).toContain("denied");
  expect(shop.got).toHaveLength(1);
});
