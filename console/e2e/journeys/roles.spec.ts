/** What a role may not do isn't offered, or is off and says why; a connection that breaks is told, and nothing is missed. */
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { type Person, expect, forgive, fresh, test } from "../journey.ts";
import { clinic } from "../things.ts";

async function viewer(admin: Person, another: (email: string) => Promise<Person>): Promise<Person> {
  const email = `${fresh("viewer")}@example.com`;
  await admin.api("POST", "/api/team/invites", { email, role: "viewer" });
  const person = await another(email);
  await expect(person.page.getByRole("heading", { name: "You are invited" })).toBeVisible();
  await person.page.getByRole("button", { name: "Join" }).click();
  await expect(person.page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
  return person;
}

test("a viewer sees what viewers may, and why the rest is off", async ({ admin, another }) => {
  const { page, go } = await viewer(admin, another).then((person) => ({ page: person.page, go: (path: string) => person.go(path) }));
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

test("who is limited to a number sees its calls alone", async ({ admin, another, outside }) => {
  test.slow();
  const [seen, other] = [await clinic(admin), await clinic(admin)];
  const person = await viewer(admin, another);
  await Promise.all([outside.call(seen.e164, ["I would like to book a cleaning."], "+13175559011"), outside.call(other.e164, ["I would like to book a cleaning."], "+13175559012")]);
  await person.go("/calls");
  await expect(person.page.getByRole("row").filter({ hasText: "555-9012" })).toBeVisible();

  const { numbers } = await admin.api<{ numbers: { id: string; e164: string; friendly_name: string | null }[] }>("GET", "/api/numbers");
  const label = numbers.find((each) => each.e164 === seen.e164)?.friendly_name;
  await admin.go("/team");
  await admin.page.getByRole("button", { name: `What ${person.email} sees` }).click();
  const dialog = admin.page.getByRole("dialog");
  const choices = dialog.getByRole("group", { name: "These numbers" });
  await (label ? choices.getByLabel(label) : choices.getByLabel(seen.e164.slice(-4))).check();
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();

  await person.go("/calls");
  await expect(person.page.getByRole("row").filter({ hasText: "555-9011" })).toBeVisible();
  await expect(person.page.getByRole("row").filter({ hasText: "555-9012" })).toHaveCount(0);
  const nav = person.page.getByRole("navigation", { name: "Pages" });
  for (const whole of ["Contacts", "Webhooks", "Events"]) await expect(nav.getByRole("link", { name: whole, exact: true })).toHaveCount(0);
  await expect(nav.getByRole("link", { name: "Numbers" })).toBeVisible();
  forgive(person.page); // its stream ended when the limit was set
});

test("who is removed is out at the next question", async ({ admin, another }) => {
  const person = await viewer(admin, another);
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
