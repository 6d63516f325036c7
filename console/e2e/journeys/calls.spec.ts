/** Calls: the list as it comes in, one that is followed word by word, heard and read afterwards, and what is done with it. */
import { expect, test } from "../journey.ts";
import { clinic, stranger } from "../things.ts";

test("a call is followed live, and heard afterwards", async ({ admin, outside }) => {
  test.slow();
  const { page } = admin;
  const number = (await clinic(admin)).e164;
  await admin.go("/calls");
  const call = outside.call(number, ["I would like to book a dental cleaning please.", "Tuesday morning at nine would be perfect."]);

  // The list tells of it by itself, and its page has the words as they are spoken.
  await page.getByRole("row").filter({ hasText: "Live" }).getByRole("link").click({ timeout: 30_000 });
  await expect(page.getByRole("region", { name: "Transcript" })).toContainText("How can I help you", { timeout: 20_000 });
  await page.getByRole("textbox", { name: "Tell the agent" }).fill("She is a regular.");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Transcript" })).toContainText("She is a regular.");
  await call;

  // What is shown is what the record has; on a busy machine the stand-in for the model understands nothing of it.
  const id = page.url().split("/").at(-1)?.split("?")[0];
  const { transcript } = await admin.api<{ transcript: { role: string; text: string }[] }>("GET", `/api/calls/${id}`);
  expect(transcript.filter((each) => each.role === "caller").length).toBeGreaterThan(0);
  for (const turn of transcript) if (turn.text) await expect(page.getByRole("region", { name: "Transcript" })).toContainText(turn.text);

  // Afterwards the same page plays it; a sentence is a place in the recording.
  await expect(page.getByRole("button", { name: "Play", exact: true })).toBeVisible({ timeout: 30_000 });
  const player = page.getByRole("region", { name: "Recording" });
  await expect(player.getByText(/^0:00 \/ 0:[0-9]*[1-9]/)).toBeVisible();
  await player.getByRole("button", { name: "Forward 5 seconds" }).click();
  await expect(player.getByText(/^0:05 \/ /)).toBeVisible();
  // The audit log names who listened, not who opened the page.
  const listened = async (): Promise<number> => (await admin.api<{ entries: unknown[] }>("GET", "/api/audit-log?action=getRecording")).entries.length;
  expect(await listened()).toBe(0);
  await page.getByRole("button", { name: /^Play from 0:0[1-9]/ }).first().click();
  await expect(page.getByRole("button", { name: "Pause" })).toBeVisible();
  await expect.poll(listened).toBeGreaterThan(0);
  await page.keyboard.press("p");
  await expect(page.getByRole("button", { name: "Play", exact: true })).toBeVisible();

  // On paper it is all of what was said, without what is around it.
  await page.setViewportSize({ width: 1440, height: 420 });
  await page.emulateMedia({ media: "print" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await expect(page.getByRole("list").filter({ hasText: transcript[0]?.text ?? "" }).getByRole("listitem").last()).toBeVisible();
  for (const turn of transcript) if (turn.text) await expect(page.getByText(turn.text).first()).toBeVisible();
  for (const around of [page.getByRole("navigation", { name: "Pages" }), page.getByRole("complementary", { name: "About the call" }), page.getByRole("region", { name: "Recording" })]) await expect(around).toBeHidden();
  const cut = await page.getByRole("region", { name: "Transcript" }).evaluate((region) => region.scrollHeight - region.clientHeight);
  expect(cut, "nothing scrolls on paper").toBeLessThanOrEqual(1);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  await page.emulateMedia({ media: null });
  await page.setViewportSize({ width: 1440, height: 900 });

  // What colleagues make of it is there after a reload.
  await page.getByRole("textbox", { name: "Add a tag" }).fill("follow-up");
  await page.keyboard.press("Enter");
  await page.getByRole("textbox", { name: "Add a note" }).fill("Call her back on Monday.");
  await page.keyboard.press("Control+Enter");
  await expect(page.getByRole("article")).toContainText("Call her back on Monday.");
  await page.reload();
  await expect(page.getByRole("button", { name: "Remove the tag follow-up" })).toBeVisible();
  await admin.isRightInEverySize();

  // Of a long call the latest comes first, and what was said before as one reads up. Here pages are of one turn; those before the last,
  // which a transcript as short as this asks for by itself, wait until they are asked for.
  const wanted = Promise.withResolvers<void>();
  await page.route(/\/api\/calls\/[^/]+(\/turns)?\?/, async (route) => {
    const url = route.request().url();
    if (url.includes("/turns?")) await wanted.promise;
    await route.continue({ url: url.replace(/turns=60|limit=200/, (count) => count.replace(/\d+/, "1")) });
  });
  const said = transcript.map((each) => each.text).filter(Boolean);
  await page.reload();
  await expect(page.getByText("The latest of a long call")).toBeVisible();
  await expect(page.getByRole("region", { name: "Transcript" })).toContainText(said.at(-1) ?? "");
  await page.getByRole("button", { name: "From the beginning" }).click();
  wanted.resolve();
  for (const text of said) await expect(page.getByRole("region", { name: "Transcript" })).toContainText(text);
  await expect(page.getByText("The latest of a long call")).toBeHidden();
});

test("calls are found by what the address says, and numbers blocked with a way back", async ({ admin, outside }) => {
  const { page } = admin;
  const number = (await clinic(admin)).e164;
  await outside.call(number, ["Do you open on Saturdays?"], "+13175558123");
  await admin.go("/calls?q=8123");
  await expect(page.getByRole("link", { name: /317 555 8123/ })).toBeVisible();
  // On a phone the number is whole, and what became of the call stands under it.
  await page.setViewportSize({ width: 390, height: 844 });
  const [told] = (await admin.api<{ calls: { outcome_label: string | null }[] }>("GET", "/api/calls?q=8123")).calls;
  const party = page.getByTitle("+1 317 555 8123");
  await expect(party).toBeVisible();
  expect(await party.evaluate((name) => name.scrollWidth - name.clientWidth)).toBeLessThanOrEqual(0);
  await expect(page.getByRole("row").filter({ has: party }).getByText(told?.outcome_label ?? "Completed").filter({ visible: true })).toBeVisible();
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByRole("combobox", { name: "Direction" }).selectOption("outbound");
  await expect(page).toHaveURL(/direction=outbound/);
  await expect(page.getByText("No call is like that")).toBeVisible();
  await page.goBack();
  await page.getByRole("link", { name: /317 555 8123/ }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Block this number" }).click();
  await page.getByRole("button", { name: "Block it" }).click();
  await admin.go("/calls/blocked");
  await page.getByRole("button", { name: "Unblock +1 317 555 8123" }).click();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByText("+1 317 555 8123", { exact: true })).toBeVisible();
});

test("a caller who hides their number and leaves a message is named and marked so", async ({ admin, outside }) => {
  // A call with its mailbox, and two pages in each size and theme.
  test.setTimeout(180_000);
  const { page } = admin;
  const day = new Date(Date.now() + 3 * 86_400_000).toLocaleDateString("en-US", { weekday: "short", timeZone: "UTC" }).toLowerCase();
  const { e164 } = await clinic(admin, { voicemail_enabled: true, business_hours_json: { weekly: { [day]: [["09:00", "09:15"]] } } });
  await outside.call(e164, ["Please call me back about my appointment on Friday.", "Thank you, and goodbye."], "anonymous");
  await expect.poll(async () => (await admin.api<{ voicemails: unknown[] }>("GET", "/api/voicemails")).voicemails.length, { timeout: 30_000 }).toBe(1);
  await admin.go("/calls");
  const row = page.getByRole("row").filter({ hasText: "Number withheld" });
  await expect(row.getByLabel("Left a voicemail")).toBeVisible();
  await admin.isRightInEverySize();
  await admin.go("/");
  await expect(page.getByRole("listitem").filter({ hasText: "Number withheld" })).toBeVisible();
  await admin.isRightInEverySize();
  expect(await admin.api("GET", "/api/contacts")).toMatchObject({ contacts: [] });
});

test("a caller whose transfer nobody took waits at home until somebody has dealt with them", async ({ admin, outside }) => {
  const { page } = admin;
  const colleague = stranger();
  await outside.answers(colleague, "busy");
  const over = outside.call((await clinic(admin)).e164, ["I need Doctor Kim, and I am calling because of my tooth.", "Please put me through to somebody who can help me with it.", "Well, then I will try again later."], stranger());
  const called = async () => (await admin.api<{ calls: { id: string; status: string; tags: string[]; transfers: { state: string }[] }[] }>("GET", "/api/calls")).calls[0];
  await expect.poll(async () => (await called())?.status, { timeout: 30_000 }).toBe("in_progress");
  const id = (await called())?.id ?? "";
  await admin.api("POST", `/api/calls/${id}/transfer`, { to: colleague });
  await over;
  await expect.poll(called, { timeout: 30_000 }).toMatchObject({ status: "completed", tags: ["transfer-not-taken"] });
  await admin.go("/analytics");
  const ended = page.getByRole("region", { name: "How calls ended" });
  await expect(async () => {
    await page.reload();
    await expect(ended.getByRole("row", { name: /Transfer not taken/ })).toContainText("1", { timeout: 2_000 });
  }).toPass({ timeout: 30_000 });
  await admin.go("/");
  await page.getByRole("link", { name: "1 call whose transfer nobody took" }).click();
  const row = page.getByRole("row").filter({ hasText: "Nobody took it" });
  await expect(row).toHaveCount(1);
  await row.getByRole("link").first().click();
  await page.getByRole("button", { name: "Dealt with" }).click();
  await expect(page.getByRole("button", { name: "Dealt with" })).toBeHidden();
  await expect.poll(async () => (await called())?.tags).toEqual([]);
  await admin.go("/");
  await expect(page.getByRole("link", { name: /transfer nobody took/ })).toHaveCount(0);
});
