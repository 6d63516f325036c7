/** What is set up to reach other systems: documents, tools and their secrets, MCP servers, CRMs, webhooks, triggers. */
import { type Page, expect, fresh, test } from "../journey.ts";
import { Customer, confirm, listed } from "../things.ts";

test("documents are added, replaced, fetched again, found, renamed, and deleted", async ({ admin }) => {
  const { page } = admin;
  await using shop = await Customer.serve();
  shop.answers.set("/faq", { type: "text/html", body: "<h1>Parking</h1><p>Park behind the house.</p>" });
  interface Document {
    id: string;
    name: string;
    status: string;
    content_bytes: number;
  }
  const documents = listed<Document>(admin, "/api/knowledge", "documents");
  await admin.go("/knowledge");
  await page.getByRole("button", { name: "Add a document" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: "Text" }).or(dialog.getByRole("button", { name: "Text", exact: true })).or(dialog.getByText("Text", { exact: true })).first().click();
  await dialog.getByLabel("Text", { exact: true }).last().fill("A cleaning costs 90 dollars.");
  await dialog.getByLabel("Name", { exact: true }).fill("Prices");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect.poll(documents, { timeout: 30_000 }).toMatchObject([{ name: "Prices", status: "ready" }]);

  await admin.go("/knowledge?tab=search&q=cleaning");
  await expect(page.getByText("A cleaning costs 90 dollars.")).toBeVisible();
  await admin.go(`/knowledge/${(await documents())[0]?.id}`);
  await page.getByRole("button", { name: "Replace content" }).click();
  await dialog.getByText("Text", { exact: true }).first().click();
  await dialog.getByLabel("Text", { exact: true }).last().fill("A cleaning costs 100 dollars from now on.");
  await dialog.getByRole("button", { name: "Replace content" }).click();
  await expect.poll(documents).toMatchObject([{ content_bytes: 41 }]);
  await page.getByLabel("Name", { exact: true }).fill("Prices of 2027");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(documents).toMatchObject([{ name: "Prices of 2027" }]);
  await page.getByRole("button", { name: "Delete document" }).click();
  await confirm(page, "Delete");
  await expect.poll(documents).toEqual([]);

  const { id } = await admin.api<Document>("POST", "/api/knowledge", { name: "FAQ", url: `${shop.url}/faq`, refetch_hours: 24 });
  await expect.poll(() => shop.got.length, { timeout: 30_000 }).toBe(1);
  await expect.poll(documents, { timeout: 30_000 }).toMatchObject([{ status: "ready" }]);
  await admin.go(`/knowledge/${id}`);
  await page.getByRole("button", { name: "Fetch now" }).click();
  await expect.poll(() => shop.got.length, { timeout: 30_000 }).toBe(2);
});

test("files that can't be documents say why and keep the rest from being sent, until they are taken out", async ({ admin }) => {
  const { page } = admin;
  const documents = listed<{ name: string; status: string }>(admin, "/api/knowledge", "documents");
  let sent = 0;
  page.on("request", (request) => (sent += request.method() === "POST" && new URL(request.url()).pathname === "/api/knowledge" ? 1 : 0));
  await admin.go("/knowledge");
  await expect(page.getByText("No documents yet")).toBeVisible();
  await drop(page, { "brochure.txt": "a".repeat(9 << 20), "later.md": "", "prices.md": "A cleaning costs 90 dollars.", "prices.txt": "A whitening costs 240 dollars." });
  const dialog = page.getByRole("dialog", { name: "Add a document" });
  await expect(dialog.getByRole("listitem").filter({ hasText: "brochure.txt" }).getByRole("alert")).toHaveText(/^Larger than 8.4\sMB/);
  await expect(dialog.getByRole("listitem").filter({ hasText: "later.md" }).getByRole("alert")).toHaveText("It is empty.");
  await expect(dialog.getByRole("alert")).toHaveCount(2);
  const add = dialog.getByRole("button", { name: "Add 4 files" });
  await expect(add).toHaveAttribute("title", "Take out the files that are marked.");
  await add.click({ force: true });
  await admin.isRightInEverySize();
  await dialog.getByRole("button", { name: "Take out brochure.txt" }).click();
  await dialog.getByRole("button", { name: "Add 3 files" }).click({ force: true });
  await expect(dialog.getByRole("alert")).toHaveCount(1);
  expect(sent).toBe(0);
  expect(await documents()).toEqual([]);
  await dialog.getByRole("button", { name: "Take out later.md" }).click();
  await dialog.getByRole("button", { name: "Add 2 files" }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await documents()).map((each) => each.name).toSorted()).toEqual(["prices.md", "prices.txt"]);
  expect(sent).toBe(2);
});

test("a file dropped beside the picker leaves the page as it is, and files beyond what is taken are counted", async ({ admin }) => {
  const { page } = admin;
  await admin.go("/knowledge");
  await drop(page, Object.fromEntries(Array.from({ length: 23 }, (_, at) => [`price-${at}.md`, "A cleaning costs 90 dollars."])));
  const dialog = page.getByRole("dialog", { name: "Add a document" });
  await expect(dialog.getByRole("alert")).toHaveText("3 files are left out: up to 20 at a time.");
  await expect(dialog.getByRole("button", { name: "Add 20 files" })).toBeVisible();
  for (const kind of ["Files", "Text"]) {
    await dialog.getByRole("button", { name: kind, exact: true }).click();
    for (const type of ["dragover", "drop"]) expect(await isOpened(page, type), `${type} while ${kind} is chosen`).toBe(false);
  }
  await dialog.getByRole("button", { name: "Cancel" }).click();
  const { id } = await admin.api<{ id: string }>("POST", "/api/knowledge", { name: "Prices", text: "A cleaning costs 90 dollars." });
  await admin.go(`/knowledge/${id}`);
  await page.getByRole("button", { name: "Replace content" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  expect(await isOpened(page, "drop")).toBe(false);
});

/** Whether the browser would open a file that is dropped on an open dialog's title. */
async function isOpened(page: Page, type: string): Promise<boolean> {
  return page.getByRole("dialog").getByRole("heading").first().evaluate((target, name) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["x"], "stray.pdf"));
    return target.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
  }, type);
}

/** Drop files on the page, anywhere. */
async function drop(page: Page, files: Record<string, string>): Promise<void> {
  const transfer = await page.evaluateHandle((all) => {
    const made = new DataTransfer();
    for (const [name, text] of Object.entries(all)) made.items.add(new File([text], name));
    return made;
  }, files);
  await page.getByRole("heading", { level: 1 }).dispatchEvent("drop", { dataTransfer: transfer });
}

test("a tool is made with its secret, tried, changed, and both are deleted", async ({ admin }) => {
  const { page } = admin;
  await using shop = await Customer.serve();
  shop.answers.set("/orders", { body: '{"state": "shipped"}' });
  const secrets = listed<{ name: string; host: string; updated_at: string }>(admin, "/api/tool-secrets", "tool_secrets");
  const tools = listed<{ id: string; name: string; description: string; version: number }>(admin, "/api/tools", "tools");
  await admin.go("/tools/secrets");
  await page.getByRole("button", { name: "Add a secret" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("shop_key");
  await page.getByLabel("Host").fill("127.0.0.1");
  await page.getByLabel("Value", { exact: true }).fill("s3cret-of-the-shop");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect.poll(secrets).toMatchObject([{ name: "shop_key", host: "127.0.0.1" }]);
  const before = (await secrets())[0]?.updated_at;
  await page.getByRole("button", { name: "Change shop_key" }).click();
  await page.getByLabel("New value").fill("an0ther-secret");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect.poll(async () => (await secrets())[0]?.updated_at).not.toBe(before);
  await page.getByRole("button", { name: "Delete shop_key" }).click();
  await confirm(page, "Delete", "shop_key");
  await expect.poll(secrets).toEqual([]);

  await admin.go("/tools/new");
  await page.getByLabel("Name", { exact: true }).first().fill("find_order");
  await page.getByLabel("Description").fill("Finds an order.");
  await page.getByLabel("Address", { exact: true }).fill(`${shop.url}/orders`);
  await page.getByRole("button", { name: "Add a field" }).click();
  const field = page.getByLabel("Field", { exact: true });
  await field.fill("shop");
  await page.getByRole("button", { name: "Add a field" }).click();
  await field.last().fill("order_id");
  await page.getByLabel("What it means").last().fill("As the caller says it.");
  await page.getByRole("button", { name: "Remove shop" }).click();
  await expect(field).toHaveValue("order_id");
  await expect(page.getByRole("status").getByText("nowhere yet: order_id")).toBeVisible();
  await page.getByRole("button", { name: "Send as parameters" }).click();
  await expect(page.getByText("nowhere yet")).toBeHidden();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page).toHaveURL(/\/tools\/tool_/);
  const sends = { parameters_json: { properties: { order_id: { type: "string", description: "As the caller says it." } } }, query_json: { order_id: "{{ args.order_id }}" } };
  await expect.poll(tools).toMatchObject([{ name: "find_order", version: 1, ...sends }]);
  await page.getByRole("textbox", { name: "Order id" }).fill("A-7");
  await page.getByRole("button", { name: "Run test" }).click();
  await expect(page.getByRole("status").getByText("shipped").first()).toBeVisible();
  expect(shop.got.map((each) => each.path)).toEqual(["/orders?order_id=A-7"]);
  await page.getByLabel("Description").fill("Finds an order by its number.");
  await page.getByRole("button", { name: "Save version" }).click();
  await expect.poll(tools).toMatchObject([{ description: "Finds an order by its number.", version: 2 }]);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await confirm(page, "Delete", "find_order");
  await expect.poll(tools).toEqual([]);
});

test("an MCP server is added, read again, a changed tool accepted, its settings changed, and it is deleted", async ({ admin }) => {
  const { page } = admin;
  await using shop = await Customer.serve();
  interface Server {
    id: string;
    name: string;
    tool_count: number;
    waiting_count: number;
    enabled: boolean;
  }
  const servers = listed<Server>(admin, "/api/mcp-servers", "mcp_servers");
  await admin.go("/mcp-servers");
  await page.getByRole("button", { name: "Add a server" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill("Shop");
  await dialog.getByLabel("Address", { exact: true }).fill(`${shop.url}/mcp`);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect.poll(servers, { timeout: 30_000 }).toMatchObject([{ name: "Shop", tool_count: 1, waiting_count: 0 }]);
  shop.tools = { find_order: "Finds an order, and tells everybody." };
  await admin.go(`/mcp-servers/${(await servers())[0]?.id}`);
  await page.getByRole("button", { name: "Read tools now" }).click();
  await page.getByRole("button", { name: "See the change" }).click();
  await expect.poll(servers).toMatchObject([{ waiting_count: 1 }]);
  await dialog.getByRole("button", { name: "Accept the change" }).click();
  await expect.poll(servers).toMatchObject([{ waiting_count: 0 }]);
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Old shop");
  await dialog.getByRole("switch", { name: "Enabled" }).uncheck();
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(servers).toMatchObject([{ name: "Old shop", enabled: false }]);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await confirm(page, "Delete", "Old shop");
  await expect.poll(servers).toEqual([]);
});

test("a CRM is connected, pinged, changed, given another secret, and taken away", async ({ admin }) => {
  const { page } = admin;
  await using crm = await Customer.serve();
  crm.answers.set("/ping", { body: '{"ok": true}' });
  interface Connector {
    id: string;
    name: string;
    old_secret_expires_at: string | null;
  }
  const connectors = listed<Connector>(admin, "/api/crm-connectors", "connectors");
  await admin.go("/crm");
  await page.getByRole("button", { name: "Add a connector" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("Dispatch");
  await page.getByLabel("Address", { exact: true }).fill(crm.url);
  await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await page.getByRole("button", { name: "I have it" }).click();
  await expect.poll(connectors).toMatchObject([{ name: "Dispatch", old_secret_expires_at: null }]);
  await page.getByRole("button", { name: "Ping", exact: true }).click();
  await expect.poll(() => crm.got.map((each) => `${each.method} ${each.path}`)).toEqual(["POST /ping"]);
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByLabel("Name", { exact: true }).fill("Night dispatch");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(connectors).toMatchObject([{ name: "Night dispatch" }]);
  await page.getByRole("button", { name: "Rotate secret" }).click();
  await confirm(page, "Rotate secret");
  await page.getByRole("button", { name: "I have it" }).click();
  await expect.poll(async () => (await connectors())[0]?.old_secret_expires_at).toBeTruthy();
  const before = (await connectors())[0]?.old_secret_expires_at;
  const own = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Rotate secret" }).click();
  await dialog.getByLabel("A secret of your own").fill("whsec_short");
  await expect(dialog.getByText("24 to 64 bytes in base64, up to 128 characters")).toBeVisible();
  await confirm(page, "Rotate secret");
  await expect(dialog.getByText("must be `whsec_` and 24 to 64 bytes in base64", { exact: true })).toBeVisible();
  await dialog.getByLabel("A secret of your own").fill(own);
  await confirm(page, "Rotate secret");
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await connectors())[0]?.old_secret_expires_at).not.toBe(before);
  await page.getByRole("button", { name: "Ping", exact: true }).click();
  await expect.poll(() => crm.got.length).toBe(2);
  expect(crm.got[1]?.authorization).toBe(`Bearer ${own}`);
  await expect(dialog).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Delete connector" }).click();
  await confirm(page, "Delete", "Night dispatch");
  await expect.poll(connectors).toEqual([]);
  await page.getByRole("button", { name: "Add a connector" }).first().click();
  await dialog.getByLabel("Name", { exact: true }).fill("Own");
  await dialog.getByLabel("Address", { exact: true }).fill(crm.url);
  await dialog.getByLabel("A secret of your own").fill(own);
  await dialog.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("heading", { name: "Own", level: 1 })).toBeVisible();
  await page.getByRole("button", { name: "Ping", exact: true }).click();
  await expect.poll(() => crm.got.map((each) => each.authorization).at(2)).toBe(`Bearer ${own}`);
});

test("a webhook is switched off and on, replayed, changed, given another secret, and deleted", async ({ admin }) => {
  const { page } = admin;
  await using server = await Customer.serve();
  interface Webhook {
    enabled: boolean;
    description: string;
    old_secret_expires_at: string | null;
  }
  const { id } = await admin.api<{ id: string }>("POST", "/api/webhooks", { url: `${server.url}/hook`, description: "Ours" });
  const path = `/api/webhooks/${id}`;
  const webhook = (): Promise<Webhook> => admin.api<Webhook>("GET", path);
  await admin.go(`/webhooks/${id}`);
  await page.getByRole("button", { name: "Disable" }).click();
  await expect.poll(webhook).toMatchObject({ enabled: false });
  await admin.api("POST", "/api/contacts", { phone_e164: "+13175550166" });
  const { id: doomed } = await admin.api<{ id: string }>("POST", "/api/flows", { name: fresh("Missed") });
  await admin.api("DELETE", `/api/flows/${doomed}`);
  await page.getByRole("button", { name: "Enable" }).click();
  await expect.poll(webhook).toMatchObject({ enabled: true });
  const missed = (await admin.api<{ deliveries: unknown[] }>("GET", `${path}/deliveries?state=missed`)).deliveries.length;
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Replay missed and failed" }).click();
  await confirm(page, "Replay");
  await expect(page.getByText(missed === 0 ? "There is nothing to send again." : /sent again\.$/)).toBeVisible();
  await expect.poll(() => server.got.length, { timeout: 30_000 }).toBe(missed);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Rotate secret" }).click();
  await confirm(page, "Rotate secret");
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect.poll(async () => JSON.stringify(await webhook())).toContain("secret");
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Theirs");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(webhook).toMatchObject({ description: "Theirs" });
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete webhook" }).click();
  await confirm(page, "Delete webhook", new URL(server.url).host);
  await expect.poll(listed(admin, "/api/webhooks", "webhooks")).toEqual([]);
});

test("a trigger is made, signed, given another address and secret, unsigned, changed, switched off, and deleted", async ({ admin }) => {
  const { page } = admin;
  interface Trigger {
    name: string;
    signed: boolean;
    enabled: boolean;
  }
  const triggers = listed<Trigger>(admin, "/api/triggers", "triggers");
  await admin.go("/triggers");
  await page.getByRole("button", { name: "New trigger" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("Shop");
  await page.getByLabel("Event", { exact: true }).fill("external.order_paid");
  await page.getByRole("dialog").getByRole("button", { name: "Create trigger" }).click();
  const first = await page.getByRole("dialog").getByText(/\/hooks?\//).first().textContent();
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect.poll(triggers).toMatchObject([{ name: "Shop", signed: false, enabled: true }]);
  await page.getByRole("button", { name: "New address" }).click();
  await confirm(page, "New address");
  await expect(page.getByRole("dialog").getByText(/\/hooks?\//).first()).not.toHaveText(first ?? "");
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Require signatures" }).click();
  await confirm(page, "Require signatures");
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect.poll(triggers).toMatchObject([{ signed: true }]);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Remove secret" }).click();
  await confirm(page, "Remove secret");
  await expect.poll(triggers).toMatchObject([{ signed: false }]);
  await page.getByRole("button", { name: "Turn off" }).click();
  await expect.poll(triggers).toMatchObject([{ enabled: false }]);
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Old shop");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(triggers).toMatchObject([{ name: "Old shop" }]);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete trigger" }).click();
  await confirm(page, "Delete trigger", "Old shop");
  await expect.poll(triggers).toEqual([]);
});
