/** What a role may not do isn't offered, or is off and says why; a connection that breaks is told, and nothing is missed. */
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { type Locator, type Person, expect, forgive, fresh, test } from "../journey.ts";
import { clinic, confirm, listed, stranger } from "../things.ts";

async function colleague(admin: Person, another: (email: string) => Promise<Person>, role = "viewer"): Promise<Person> {
  const email = `${fresh(role)}@example.com`;
  await admin.api("POST", "/api/team/invites", { email, role });
  const person = await another(email);
  await join(person);
  return person;
}

async function join({ page }: Person): Promise<void> {
  await expect(page.getByRole("heading", { name: "You are invited" })).toBeVisible();
  await page.getByRole("button", { name: "Join" }).click();
  await expect(page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
}

/** Choose a number in the dialog that asks what somebody sees. */
async function choose(admin: Person, dialog: Locator, e164: string): Promise<void> {
  const { numbers } = await admin.api<{ numbers: { e164: string; friendly_name: string | null }[] }>("GET", "/api/numbers");
  const label = numbers.find((each) => each.e164 === e164)?.friendly_name;
  await dialog.getByRole("group", { name: "These numbers" }).getByLabel(label || phone(e164)).check();
}

/** `+1 317 555 0142`, as the console writes numbers. */
function phone(e164: string): string {
  return e164.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");
}

/** The ids of these, as this person's API has them. */
async function idsOf(person: Person, path: string, name: string): Promise<string[]> {
  return (await person.api<Record<string, { id: string }[]>>("GET", path))[name]?.map((each) => each.id) ?? [];
}

/** Ids of `all`, each the answer's status when this person asks for it. */
async function statuses(person: Person, path: string, all: readonly string[]): Promise<Record<string, number>> {
  return Object.fromEntries(await Promise.all(all.map(async (id) => [id, (await person.page.request.get(`${person.url}${path}/${id}`)).status()] as const)));
}

async function hasNoWholePages({ page }: Person): Promise<void> {
  await expect(page.getByRole("note").filter({ hasText: "You see some numbers and agents" })).toBeVisible();
  const nav = page.getByRole("navigation", { name: "Pages" });
  await expect(nav.getByRole("link", { name: "Numbers" })).toBeVisible();
  for (const whole of ["Contacts", "Webhooks", "Events"]) await expect(nav.getByRole("link", { name: whole, exact: true })).toHaveCount(0);
}

test("a viewer sees what viewers may, and why the rest is off", async ({ admin, another }) => {
  const { page, go } = await colleague(admin, another).then((person) => ({ page: person.page, go: (path: string) => person.go(path) }));
  const nav = page.getByRole("navigation", { name: "Pages" });
  await expect(nav.getByRole("link", { name: "Calls", exact: true })).toBeVisible();
  await expect(nav.getByRole("link", { name: "API keys" })).toHaveCount(0);
  await expect(nav.getByRole("link", { name: "Audit log" })).toHaveCount(0);
  await go("/calls");
  const place = page.getByRole("button", { name: "Place a call" }).first();
  await expect(place).toHaveAttribute("aria-disabled", "true");
  await expect(place).toHaveAttribute("title", /role \(viewer\) may not do this/);
  await place.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("who is limited to a number has its calls and texts alone", async ({ admin, another, outside }) => {
  test.slow();
  const [seen, other] = [await clinic(admin), await clinic(admin)];
  for (const { id } of [seen, other]) await admin.api("PATCH", `/api/numbers/${id}`, { sms_enabled: true });
  const person = await colleague(admin, another, "operator");
  const [first, second] = [stranger(), stranger()];
  await Promise.all([
    ...[seen, other].map((each, at) => outside.call(each.e164, ["I would like to book a cleaning."], at ? second : first)),
    ...[seen, other].map((each, at) => outside.text(at ? second : first, each.e164, "Are you open on Saturdays?")),
  ]);
  await expect.poll(() => idsOf(admin, "/api/sms/conversations", "conversations")).toHaveLength(2);
  const { calls } = await person.api<{ calls: { id: string; from: string }[] }>("GET", "/api/calls");
  const { conversations } = await person.api<{ conversations: { id: string; contact_e164: string }[] }>("GET", "/api/sms/conversations");
  expect([calls.length, conversations.length]).toEqual([2, 2]);
  const mine = { call: calls.find((each) => each.from === first)?.id ?? "", thread: conversations.find((each) => each.contact_e164 === first)?.id ?? "" };
  await person.go("/calls");
  await expect(person.page.getByRole("row").filter({ hasText: phone(second) })).toBeVisible();

  await admin.go("/team");
  await admin.isRightInEverySize();
  const sees = admin.page.getByRole("button", { name: /^What .+ sees: / });
  await sees.click();
  const dialog = admin.page.getByRole("dialog");
  await expect(dialog).toContainText("Everything in this organization.");
  await choose(admin, dialog, seen.e164);
  await expect(dialog).toContainText("It holds at once.");
  await admin.isRightInEverySize();
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  await expect(sees).toHaveText("Some numbers, agents");

  expect(await idsOf(person, "/api/calls", "calls")).toEqual([mine.call]);
  expect(await idsOf(person, "/api/sms/conversations", "conversations")).toEqual([mine.thread]);
  expect(await idsOf(person, "/api/numbers", "numbers")).toEqual([seen.id]);
  expect(await statuses(person, "/api/calls", calls.map((each) => each.id))).toEqual(Object.fromEntries(calls.map((each) => [each.id, each.id === mine.call ? 200 : 404])));
  expect(await statuses(person, "/api/sms/conversations", conversations.map((each) => each.id))).toEqual(Object.fromEntries(conversations.map((each) => [each.id, each.id === mine.thread ? 200 : 404])));
  await person.go("/calls");
  await expect(person.page.getByRole("row").filter({ hasText: phone(first) })).toBeVisible();
  await expect(person.page.getByRole("row").filter({ hasText: phone(second) })).toHaveCount(0);
  await hasNoWholePages(person);
  forgive(person.page); // its stream ended when the limit was set
});

test("the invited are limited from the moment they join, and leave by themselves", async ({ admin, another }) => {
  const { page } = admin;
  const [seen] = [await clinic(admin), await clinic(admin)];
  const email = `${fresh("grace")}@example.com`;
  type Limited = { email: string; role: string; limited_to: { number_ids: string[]; flow_ids: string[] } | null };
  const invites = listed<Limited>(admin, "/api/team/invites", "invites");
  const members = listed<Limited>(admin, "/api/team", "members");
  await admin.go("/team");
  const dialog = page.getByRole("dialog");
  const invite = async (address: string): Promise<void> => {
    await page.getByRole("button", { name: "Invite somebody" }).first().click();
    await dialog.getByLabel("E-mail").fill(address);
  };
  await invite(email);
  await expect(dialog.getByText(/There is an open invitation/)).toHaveCount(0);
  await dialog.getByRole("button", { name: "Invite", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(invites).toMatchObject([{ email, role: "operator" }]);

  await invite(` ${email.toUpperCase()}`);
  await expect(dialog.getByRole("status")).toHaveText(`There is an open invitation of ${email} (Operator). This one replaces it.`);
  await dialog.getByLabel("Role").selectOption("viewer");
  await dialog.getByText("Sees: Everything").click();
  await choose(admin, dialog, seen.e164);
  await admin.isRightInEverySize();
  await dialog.getByRole("button", { name: "Invite", exact: true }).click();
  await expect(dialog).toBeHidden();
  const limited = { role: "viewer", limited_to: { number_ids: [seen.id], flow_ids: [] } };
  await expect.poll(invites).toMatchObject([limited]);
  await page.getByRole("link", { name: "Invitations" }).click();
  await expect(page.getByRole("row").filter({ hasText: email })).toContainText("Some numbers, agents");

  const grace = await another(email);
  await join(grace);
  expect((await members()).find((each) => each.email === email)).toMatchObject(limited);
  expect(await invites()).toEqual([]);
  expect(await idsOf(grace, "/api/numbers", "numbers")).toEqual([seen.id]);
  await hasNoWholePages(grace);
  const { organization } = await grace.api<{ organization: { name: string } }>("GET", "/api/me");
  await grace.go("/settings");
  await grace.page.getByRole("button", { name: "Leave the organization" }).click();
  await confirm(grace.page, "Leave the organization", organization.name);
  await expect.poll(async () => (await members()).map((each) => each.email)).toEqual([admin.email]);
  await expect(grace.page.getByRole("heading", { name: "Welcome to HUM" })).toBeVisible();
  forgive(grace.page); // what was on its way is answered 403
});

test("who is removed is out at the next question", async ({ admin, another }) => {
  const person = await colleague(admin, another);
  const { members } = await admin.api<{ members: { user_id: string; email: string }[] }>("GET", "/api/team");
  const id = members.find((each) => each.email === person.email)?.user_id;
  await admin.api("DELETE", `/api/team/${id}`);
  await expect(async () => {
    await person.page.reload(); // fails where the page has left by itself at this moment, since it had a question of its own
    await expect(person.page.getByRole("heading", { name: "Welcome to HUM" })).toBeVisible({ timeout: 5_000 });
  }).toPass({ timeout: 30_000 });
  forgive(person.page); // what was on its way is answered 403
});

test("what happens while the connection is lost is there when it is back", async ({ admin }) => {
  const { page } = admin;
  await using line = await cuttable(new URL(admin.url));
  await page.goto(`http://127.0.0.1:${line.port}/contacts`);
  await expect(page.getByRole("heading", { name: "Contacts", level: 1 })).toBeVisible();
  await page.waitForTimeout(1000); // the stream is opened beside the page
  line.cut();
  await expect(page.getByText(/The connection is lost/)).toBeVisible({ timeout: 20_000 });
  await admin.api("POST", "/api/contacts", { phone_e164: "+13175550177", name: "Rosa Parks" });
  await expect(page.getByText("Rosa Parks")).toHaveCount(0);
  line.mend();
  await expect(page.getByText(/The connection is lost/)).toBeHidden({ timeout: 30_000 });
  await expect(page.getByText("Rosa Parks")).toBeVisible();
  forgive(page);
});

/** A line to the gateway that can be cut, as a network is. */
async function cuttable(to: URL): Promise<{ port: number; cut: () => void; mend: () => void } & AsyncDisposable> {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(Number(to.port), to.hostname);
    for (const [one, other] of [[near, far], [far, near]] as const) {
      open.add(one);
      one.on("error", () => undefined).on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    isCut = true;
    for (const each of open) each.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: () => void (isCut = false),
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
    },
  };
}
