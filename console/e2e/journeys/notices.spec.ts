/** What one is told of while one looks elsewhere: by the tab's title, and by one notice however many tabs there are. */
import { type Page, expect, test } from "../journey.ts";
import { stranger, textNumber } from "../things.ts";

interface Shown {
  title: string;
  body: string;
  click: () => void;
}

/** A desktop that keeps what it was shown; it asks nobody, and answers as said. */
async function stub(page: Page, answer: "granted" | "denied"): Promise<void> {
  await page.addInitScript((given) => {
    const shown: Shown[] = [];
    class Desktop extends EventTarget {
      static get permission(): string {
        return localStorage.getItem("stub.permission") ?? "default";
      }
      static requestPermission(): Promise<string> {
        localStorage.setItem("stub.permission", given);
        return Promise.resolve(given);
      }
      constructor(title: string, { body }: { body: string }) {
        super();
        shown.push({ title, body, click: () => this.dispatchEvent(new Event("click")) });
      }
      close(): void {}
    }
    Object.assign(window, { Notification: Desktop, shown });
  }, answer);
}

const shownIn = (page: Page): Promise<string[][]> => page.evaluate(() => (window as unknown as { shown: Shown[] }).shown.map(({ title, body }) => [title, body]));

test("a text that waits is counted in the title, told once in two tabs, and opened from there", async ({ admin, outside, context }) => {
  const { page } = admin;
  const second = await context.newPage();
  for (const each of [page, second]) await stub(each, "granted");
  const { e164 } = await textNumber(admin);
  await admin.go("/me");
  const desktop = page.getByRole("switch", { name: "Show notices on the desktop" });
  await expect(desktop).not.toBeChecked();
  expect(await page.evaluate(() => Notification.permission), "nobody was asked").toBe("default");
  await desktop.click();
  await expect(desktop).toBeChecked();
  await page.getByRole("switch", { name: "Play a sound" }).click();
  await admin.isRightInEverySize();
  await second.goto(`${admin.url}/contacts`);
  await expect(second.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page).not.toHaveTitle(/^\(/);

  const from = stranger();
  await outside.text(from, e164, "My tooth hurts badly.");
  await expect(page).toHaveTitle(/^\(1\) Your account/);
  await expect(second).toHaveTitle(/^\(1\) Contacts/);
  const all = async (): Promise<string[][]> => [...(await shownIn(page)), ...(await shownIn(second))];
  await expect.poll(all).toHaveLength(1);
  const [[title, body] = []] = await all();
  expect(title).toMatch(/^New text · .*\d{4}$/);
  expect(body, "no word of it on the desktop").toBe("");

  // The second text shows that no second notice of the first was on its way, and that words are a choice.
  await page.getByRole("switch", { name: "Show what was written, too" }).click();
  await outside.text(from, e164, "Can I come today?");
  await expect.poll(all).toHaveLength(2);
  expect((await all()).map((each) => each[1]).toSorted()).toEqual(["", "Can I come today?"]);

  const teller = (await shownIn(page)).length > 0 ? page : second;
  await teller.evaluate(() => (window as unknown as { shown: Shown[] }).shown[0]?.click());
  await expect(teller.getByText("Can I come today?").last()).toBeVisible();
  await expect(teller).toHaveURL(/\/inbox\/conv_/);
  await expect(teller, "it is read").not.toHaveTitle(/^\(/);

  // A third text comes into the thread that is being looked at.
  await outside.text(from, e164, "I am on my way.");
  await expect(teller.getByText("I am on my way.").last()).toBeVisible();
  await outside.text(stranger(), e164, "Another person.");
  await expect.poll(all, "the other thread is told, the open one is not").toHaveLength(3);
});

test("a browser that refuses says so, and nothing is told to who did not choose it", async ({ admin, outside }) => {
  const { page } = admin;
  await stub(page, "denied");
  const { e164 } = await textNumber(admin);
  await admin.go("/me");
  await outside.text(stranger(), e164, "Hello.");
  await expect(page).toHaveTitle(/^\(1\) /);
  const desktop = page.getByRole("switch", { name: "Show notices on the desktop" });
  await desktop.click();
  await expect(page.getByText("This browser was told not to show them.")).toBeVisible();
  await expect(desktop).not.toBeChecked();
  await expect(desktop).toBeDisabled();
  await admin.isAccessible();
  expect(await shownIn(page)).toEqual([]);
});
