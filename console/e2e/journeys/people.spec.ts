/** Who works here and how: invitations, roles, one's own account, keys and settings; contacts and numbers. */
import { type Person, expect, forgive, fresh, test } from "../journey.ts";
import { confirm, listed, ownNumber, stranger } from "../things.ts";

interface Me {
  user: { id: string };
  organization: { id: string; name: string };
  organizations: { id: string; name: string }[];
  invitations: unknown[];
}

const me = (person: Person): Promise<Me> => person.api<Me>("GET", "/api/me");

test("somebody is invited, declines, joins, gets another role, moves between organizations, and is removed", async ({ admin, another }) => {
  const { page } = admin;
  const email = `${fresh("grace")}@example.com`;
  const invites = listed<{ email: string }>(admin, "/api/team/invites", "invites");
  const invite = async (): Promise<void> => {
    await admin.go("/team");
    await page.getByRole("button", { name: "Invite somebody" }).first().click();
    await page.getByLabel("E-mail").fill(email);
    await page.getByRole("dialog").getByRole("button", { name: "Invite", exact: true }).click();
    await expect.poll(invites).toMatchObject([{ email }]);
  };
  await invite();
  await page.getByRole("link", { name: "Invitations" }).click();
  await page.getByRole("button", { name: `Take back the invitation of ${email}` }).click();
  await expect.poll(invites).toEqual([]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(invites).toMatchObject([{ email }]);

  // She has a desk of her own, so she answers at her account's page.
  const grace = await another(email);
  await grace.page.getByRole("textbox", { name: "Name" }).fill("Grace's desk");
  await grace.page.getByRole("button", { name: "Create it" }).click();
  await expect(grace.page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
  expect((await me(grace)).organization.name).toBe("Grace's desk");
  await grace.go("/me");
  await grace.page.getByRole("button", { name: "Decline" }).click();
  await expect.poll(async () => (await me(grace)).invitations).toEqual([]);
  await expect.poll(invites).toEqual([]);
  await invite();
  await grace.go("/me");
  await grace.page.getByRole("button", { name: "Join" }).click();
  await expect(grace.page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();
  await expect.poll(async () => (await me(grace)).organizations.length).toBe(2);
  await grace.go("/me");
  await grace.page.getByRole("button", { name: "Open Grace's desk" }).click();
  await expect.poll(async () => (await me(grace)).organization.name).toBe("Grace's desk");
  await expect(grace.page.getByRole("heading", { name: "Home", level: 1 })).toBeVisible();

  const members = listed<{ email: string; role: string }>(admin, "/api/team", "members");
  const roleOf = async (): Promise<string | undefined> => (await members()).find((each) => each.email === email)?.role;
  await admin.go("/team");
  await page.getByRole("combobox", { name: `Role of ${email}` }).or(page.getByRole("combobox", { name: /Role of grace/i })).first().selectOption("viewer");
  await expect.poll(roleOf).toBe("viewer");
  await page.getByRole("button", { name: /^Remove grace/i }).click();
  await confirm(page, "Remove");
  await expect.poll(roleOf).toBeUndefined();
  forgive(grace.page);
});

test("a viewer leaves the organization by themselves", async ({ admin, another }) => {
  const email = `${fresh("ada")}@example.com`;
  const members = listed<{ email: string; role: string }>(admin, "/api/team", "members");
  await admin.api("POST", "/api/team/invites", { email, role: "viewer" });
  const ada = await another(email);
  await ada.page.getByRole("button", { name: "Join" }).click();
  await expect.poll(async () => (await members()).find((each) => each.email === email)?.role).toBe("viewer");
  const { name } = (await me(ada)).organization;
  await ada.go("/settings");
  await ada.page.getByRole("button", { name: "Leave the organization" }).click();
  await confirm(ada.page, "Leave the organization", name);
  await expect.poll(async () => (await members()).map((each) => each.email)).not.toContain(email);
  await expect.poll(async () => (await me(ada)).organizations).toEqual([]);
  forgive(ada.page);
});

test("one's own account: e-mails, a second sign-in that is taken away, and out everywhere", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/me");
  const chosen = (): Promise<Record<string, unknown>> => admin.api("GET", "/api/me/notifications");
  const { voicemails } = await chosen();
  const emails = page.locator("section").filter({ has: page.getByRole("heading", { name: "E-mails" }) });
  await emails.getByRole("switch", { name: "New voicemails" }).setChecked(!voicemails);
  await expect.poll(chosen).toMatchObject({ voicemails: !voicemails });

  const signIns = listed<{ id: string; email: string }>(admin, "/api/me/sign-ins", "sign_ins");
  const second = `${fresh("second")}@example.com`;
  await page.getByRole("button", { name: "Link another account" }).click();
  await page.locator("input[name=email]").fill(second);
  await page.locator("form:has(input[name=email]) button").click();
  await page.waitForURL((url) => url.href.startsWith(admin.url) && url.pathname === "/me");
  await expect.poll(async () => (await signIns()).length).toBe(2);
  await page.getByRole("button", { name: `Remove ${second}` }).click();
  await confirm(page, "Remove");
  await expect.poll(async () => (await signIns()).length).toBe(1);

  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await confirm(page, "Sign out everywhere");
  await expect(page).toHaveURL(/\/sign-in/);
  expect((await page.request.get(`${admin.url}/api/me`)).status()).toBe(401);
  forgive(page);
});

test("the organization is renamed, a key is made and revoked", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/settings");
  await page.getByLabel("Name", { exact: true }).first().fill("Riverside Clinic");
  await page.getByRole("button", { name: "Save changes" }).first().click();
  await expect.poll(() => admin.api("GET", "/api/organization")).toMatchObject({ name: "Riverside Clinic" });
  await page.getByLabel("Address").fill("14 River Road, Springfield");
  await page.getByRole("button", { name: "Add a fact" }).click();
  await page.getByPlaceholder("Name").fill("address");
  await expect(page.getByText("This name is there already.")).toBeVisible();
  await page.getByPlaceholder("Name").fill("parking");
  await page.getByLabel("E-mail").fill("front@riverside");
  await page.getByRole("button", { name: "Save changes" }).nth(1).click();
  await expect(page.getByText("This is not an e-mail address.")).toBeVisible();
  await page.getByLabel("E-mail").fill("front@riverside.example");
  await expect(page.getByText("Give it a value, or take it out.")).toBeVisible();
  await page.getByPlaceholder("Value").fill("Behind the house");
  await expect(page.getByText("Give it a value, or take it out.")).toBeHidden();
  await admin.isAccessible();
  await page.getByRole("button", { name: "Save changes" }).nth(1).click();
  await expect.poll(() => admin.api("GET", "/api/organization")).toMatchObject({ business_identity_json: { address: "14 River Road, Springfield", parking: "Behind the house" } });
  await page.getByRole("link", { name: "Data" }).click();
  const before = await admin.api<Record<string, unknown>>("GET", "/api/organization");
  await page.getByRole("switch", { name: "E-mails of new voicemails hold their transcripts" }).click();
  await page.getByRole("button", { name: "Save changes" }).last().click();
  await expect.poll(async () => JSON.stringify(await admin.api("GET", "/api/organization"))).not.toBe(JSON.stringify(before));

  const keys = listed<{ name: string; scopes: string[]; revoked_at: string | null }>(admin, "/api/api-keys", "api_keys");
  await admin.go("/api-keys");
  await page.getByRole("button", { name: "Create a key" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("Website");
  await page.getByRole("dialog").getByLabel("Calls").selectOption("read");
  await page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("dialog", { name: "Your new key" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog", { name: "Your new key" })).toBeVisible();
  await page.getByRole("button", { name: "I have it" }).click();
  await expect.poll(keys).toMatchObject([{ name: "Website", scopes: ["calls:read"], revoked_at: null }]);
  await page.getByRole("button", { name: "Revoke Website" }).click();
  await confirm(page, "Revoke", "Website");
  await expect.poll(async () => (await keys())[0]?.revoked_at).toBeTruthy();
});

test("a contact is made, described, kept from texts and calls, and deleted; another is erased", async ({ admin }) => {
  const { page } = admin;
  await ownNumber(admin);
  const e164 = stranger();
  interface Contact {
    id: string;
    name: string;
    notes: string;
    tags: string[];
    attributes_json: Record<string, unknown>;
  }
  const contacts = listed<Contact>(admin, "/api/contacts", "contacts");
  await admin.go("/contacts");
  await page.getByRole("button", { name: "New contact" }).first().click();
  await page.getByRole("dialog").getByLabel("Phone").fill(e164);
  await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("Ana Ruiz");
  await page.getByRole("dialog").getByRole("button", { name: "New contact" }).click();
  await expect(page).toHaveURL(/\/contacts\/contact_|\/contacts\/con/);
  await expect.poll(contacts).toMatchObject([{ name: "Ana Ruiz" }]);
  const [contact] = await contacts();
  const one = (): Promise<Contact> => admin.api<Contact>("GET", `/api/contacts/${contact?.id}`);
  await page.getByLabel("Name", { exact: true }).fill("Ana Ruiz Paz");
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await expect.poll(one).toMatchObject({ name: "Ana Ruiz Paz" });
  await page.getByLabel("Notes", { exact: true }).fill("Prefers mornings.");
  await page.getByRole("button", { name: "Save", exact: true }).nth(1).click();
  await expect.poll(one).toMatchObject({ notes: "Prefers mornings." });
  await page.getByRole("button", { name: "Add an attribute" }).click();
  await page.getByLabel("Attribute", { exact: true }).fill("plan");
  await page.getByLabel("Value of plan").fill("gold");
  await page.getByRole("button", { name: "Save", exact: true }).nth(2).click();
  await expect.poll(one).toMatchObject({ attributes_json: { plan: "gold" } });
  await page.getByLabel("Add a tag").fill("recall");
  await page.keyboard.press("Enter");
  await expect.poll(one).toMatchObject({ tags: ["recall"] });

  const isOut = async (): Promise<string[]> => (await admin.api<{ opt_outs: { contact_e164: string }[] }>("GET", "/api/sms/opt-outs")).opt_outs.map((each) => each.contact_e164);
  await page.getByRole("button", { name: "Opt out" }).click();
  await confirm(page, "Opt out");
  await expect.poll(isOut).toEqual([e164]);
  await page.getByRole("button", { name: "Opt in" }).click();
  await confirm(page, "Opt in");
  await expect.poll(isOut).toEqual([]);
  const blocked = async (): Promise<string[]> => (await admin.api<{ blocklist: { phone_e164: string }[] }>("GET", "/api/blocklist")).blocklist.map((each) => each.phone_e164);
  await page.getByRole("button", { name: "Block", exact: true }).click();
  await expect.poll(blocked).toEqual([e164]);
  await page.getByRole("button", { name: "Unblock", exact: true }).click();
  await expect.poll(blocked).toEqual([]);

  await page.getByRole("button", { name: "Delete contact" }).click();
  await confirm(page, "Delete contact", "delete");
  await expect.poll(contacts).toEqual([]);
  const { id } = await admin.api<Contact>("POST", "/api/contacts", { phone_e164: stranger(), name: "Grace Hopper" });
  await admin.go(`/contacts/${id}`);
  await page.getByRole("button", { name: "Erase everything" }).click();
  await confirm(page, "Erase everything", (await contacts()).map((each) => (each as unknown as { phone_e164: string }).phone_e164)[0]);
  await expect.poll(contacts).toEqual([]);
  forgive(page); // who never opted out is not known to the opt-outs: a 404
});

test("contacts are ticked, get a tag and lose it; the way back; the filter by tag stays", async ({ admin }) => {
  const { page } = admin;
  for (const [name, tags] of [["Ada Byron", ["vip"]], ["Ben Okri", []], ["Cleo Park", []]] as const) await admin.api("POST", "/api/contacts", { phone_e164: stranger(), name, tags });
  const contacts = listed<{ name: string; tags: string[] }>(admin, "/api/contacts", "contacts");
  const withTag = async (tag: string): Promise<string[]> => (await contacts()).filter((each) => each.tags.includes(tag)).map((each) => each.name).toSorted();
  await admin.go("/contacts");
  await page.getByRole("checkbox", { name: "Tick Ben Okri" }).check();
  await page.getByRole("checkbox", { name: "Tick Cleo Park" }).check();
  await expect(page.getByText("2 contacts ticked")).toBeVisible();
  await admin.isAccessible();
  await page.getByLabel("Tag", { exact: true }).fill("recall");
  await page.getByRole("button", { name: "Add tag" }).click();
  await expect(page.getByText("Added recall to 2 contacts.")).toBeVisible();
  await expect.poll(() => withTag("recall")).toEqual(["Ben Okri", "Cleo Park"]);
  await expect(page.getByText("2 contacts ticked")).toBeHidden();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(() => withTag("recall")).toEqual([]);

  // The way back takes nothing from who had the tag before.
  await page.getByRole("checkbox", { name: "Tick all that are shown" }).check();
  await page.getByLabel("Tag", { exact: true }).fill("vip");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Added vip to 2 contacts.")).toBeVisible();
  await expect.poll(() => withTag("vip")).toEqual(["Ada Byron", "Ben Okri", "Cleo Park"]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(() => withTag("vip")).toEqual(["Ada Byron"]);

  await admin.go("/contacts?tag=vip");
  await page.getByRole("checkbox", { name: "Tick Ada Byron" }).check();
  await page.getByLabel("Tag", { exact: true }).fill("vip");
  await page.getByRole("button", { name: "Remove tag" }).click();
  await expect.poll(() => withTag("vip")).toEqual([]);
  await expect(page.getByText("No contact matches.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Tag: vip" })).toBeVisible();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByRole("checkbox", { name: "Tick Ada Byron" })).toBeVisible();
});

test("contacts that belong together are linked and unlinked; another desk sees it at once", async ({ admin, context }) => {
  const { page } = admin;
  const made = async (name: string): Promise<string> => (await admin.api<{ id: string }>("POST", "/api/contacts", { phone_e164: stranger(), name, company: "The Okri family of Lakeside Avenue, and all their cousins" })).id;
  const ada = await made("Ada Okri");
  const ben = await made("Ben Okri");
  await made("Cleo Okri");
  const linked = listed<{ name: string }>(admin, `/api/contacts/${ada}/links`, "contacts");
  const other = await context.newPage();
  await other.goto(`${admin.url}/contacts/${ben}`);
  const card = (of: typeof page) => of.locator("section").filter({ has: of.getByRole("heading", { name: "Belongs with" }) });
  await expect(card(other).getByRole("searchbox")).toBeVisible();

  await admin.go(`/contacts/${ada}`);
  await card(page).getByRole("searchbox", { name: "Find a contact to link" }).fill("Okri");
  await expect(card(page).getByRole("button", { name: "Link Cleo Okri" })).toBeVisible();
  await expect(card(page).getByRole("button", { name: "Link Ada Okri" })).toHaveCount(0);
  await admin.isRightInEverySize();
  await card(page).getByRole("button", { name: "Link Ben Okri" }).click();
  await expect.poll(linked).toMatchObject([{ name: "Ben Okri" }]);
  await expect(card(page).getByRole("button", { name: "Unlink Ben Okri" })).toBeVisible();
  await expect(card(other).getByRole("link", { name: "Ada Okri" })).toBeVisible();
  await admin.isRightInEverySize();

  await card(page).getByRole("button", { name: "Unlink Ben Okri" }).click();
  await expect.poll(linked).toEqual([]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(linked).toMatchObject([{ name: "Ben Okri" }]);
  await card(page).getByRole("link", { name: "Ben Okri" }).click();
  await expect(page).toHaveURL(new RegExp(`/contacts/${ben}$`));
  await card(page).getByRole("button", { name: "Unlink Ada Okri" }).click();
  await expect.poll(linked).toEqual([]);
  await expect(card(other).getByRole("link")).toHaveCount(0);
});

test("the carrier is asked again about a contact, and its answer appears", async ({ admin, where }) => {
  const { page } = admin;
  const e164 = stranger();
  const listing = { caller_name: "RUIZ ANA", caller_type: "CONSUMER", carrier_name: "Lakeside Mobile", type: "mobile" };
  const answer = await fetch(`${where.carrier_url}/sandbox/lookups/${e164}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(listing) });
  expect(answer.status).toBe(204);
  const { id } = await admin.api<{ id: string }>("POST", "/api/contacts", { phone_e164: e164, name: "Ana Ruiz" });
  const one = (): Promise<Record<string, unknown>> => admin.api("GET", `/api/contacts/${id}`);
  expect(await one()).toMatchObject({ looked_up_at: null, carrier: null });
  await admin.go(`/contacts/${id}`);
  await page.getByRole("button", { name: "Look up again" }).click();
  await expect(page.getByText("The carrier is being asked.", { exact: false })).toBeVisible();
  await expect.poll(one).toMatchObject({ name: "Ana Ruiz", carrier: "Lakeside Mobile", line_type: "mobile" });
  await expect(page.getByLabel("Network")).toHaveValue("Lakeside Mobile");
  await expect(page.getByRole("button", { name: "Look up again" })).toBeHidden();
});

test("a number is bought, set up, held against the carrier, and released", async ({ admin }) => {
  const { page } = admin;
  interface PhoneNumber {
    id: string;
    e164: string;
    friendly_name: string | null;
    sms_enabled: boolean;
    missed_call_text: string | null;
    status: string;
  }
  const numbers = listed<PhoneNumber>(admin, "/api/numbers", "numbers");
  await admin.go(`/numbers/buy?area=${["206", "305", "408", "510", "619", "718"][Math.floor(Math.random() * 6)]}`);
  await page.getByRole("button", { name: /^Buy \+1/ }).nth(Math.floor(Math.random() * 5)).click();
  await page.getByRole("dialog").getByRole("button", { name: "Buy", exact: true }).click();
  await expect(page).toHaveURL(/\/numbers\/(?!buy)/);
  await expect.poll(async () => (await numbers()).length).toBe(1);
  await page.getByLabel("Name", { exact: true }).fill("Front desk");
  await page.getByRole("switch", { name: "Send and answer texts" }).check();
  await page.getByRole("switch", { name: "Text back whoever reached nobody" }).check();
  await page.getByLabel("Text", { exact: true }).fill("Sorry, {{contact.name}}.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("needs a default for contact.name", { exact: false })).toBeVisible();
  forgive(page); // a template without a default is refused: a 400
  await page.getByLabel("Text", { exact: true }).fill("Sorry, {{contact.name|friend}}.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(numbers).toMatchObject([{ friendly_name: "Front desk", sms_enabled: true, missed_call_text: "Sorry, {{contact.name|friend}}." }]);
  await page.getByRole("switch", { name: "Text back whoever reached nobody" }).uncheck();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(numbers).toMatchObject([{ sms_enabled: true, missed_call_text: null }]);
  const [number] = await numbers();
  await admin.go("/numbers");
  await page.getByRole("button", { name: "Sync with the carrier" }).click();
  await expect(page.getByText(/^Added 0, corrected \d+, no longer held 0\./)).toBeVisible();
  await admin.go(`/numbers/${number?.id}`);
  await page.getByRole("button", { name: "Release number" }).click();
  await confirm(page, "Release number", number?.e164);
  await expect.poll(async () => (await numbers()).filter((each) => each.status === "active")).toEqual([]);
});
