/** What one does in the inbox: the AI is silenced and let answer, a contact is made, opted out and in, texts wait, templates are kept. */
import { createHash } from "node:crypto";
import { type Outside, type Person, expect, forgive, test } from "../journey.ts";
import { stranger, textNumber } from "../things.ts";

interface Conversation {
  id: string;
  ai_paused: boolean;
  ai_paused_reason: string | null;
  unread_count: number;
  contact: { id: string } | null;
  opted_out: boolean;
}

interface Message {
  id: string;
  body: string;
  direction: string;
  sent_by: string;
  status: string;
}

async function conversationOf(admin: Person): Promise<Conversation> {
  const { conversations } = await admin.api<{ conversations: Conversation[] }>("GET", "/api/sms/conversations?limit=1");
  if (!conversations[0]) throw new Error("no conversation");
  return conversations[0];
}

async function messagesOf(admin: Person, id: string): Promise<Message[]> {
  return (await admin.api<{ messages: Message[] }>("GET", `/api/sms/conversations/${id}/messages?limit=50`)).messages;
}

/** Open the only thread, whose first text is this. */
async function open(admin: Person, outside: Outside, from: string, to: string, body: string): Promise<Conversation> {
  await outside.text(from, to, body);
  await admin.go("/inbox");
  await admin.page.getByRole("link", { name: new RegExp(from.slice(-4)) }).click();
  await expect(admin.page.getByRole("log", { name: "Messages" })).toContainText(body);
  return conversationOf(admin);
}

test("the AI is silenced, let answer, silenced by who writes, and let answer again", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin, { sms_config_json: { debounce_ms: 0 }, system_prompt: "You answer texts to a clinic." });
  const from = stranger();
  const ofAi = async (): Promise<number> => (await outside.textsTo(from)).length;
  const { id } = await open(admin, outside, from, number.e164, "How much is a crown");
  const log = page.getByRole("log", { name: "Messages" });
  await expect.poll(ofAi, "the AI answers").toBe(1);
  await expect.poll(async () => (await conversationOf(admin)).unread_count, "who reads has read").toBe(0);

  const ai = page.getByRole("region", { name: "AI", exact: true });
  await ai.getByRole("button", { name: "Pause the AI" }).click();
  await expect(page.getByText("The AI is silent here.")).toBeVisible();
  await expect(ai.getByRole("button", { name: "Let the AI answer" })).toBeVisible();
  expect(await conversationOf(admin)).toMatchObject({ ai_paused: true, ai_paused_reason: "human" });
  await outside.text(from, number.e164, "Nobody should answer this");
  await expect(log).toContainText("Nobody should answer this");

  await ai.getByRole("button", { name: "Let the AI answer" }).click();
  await expect(page.getByText("The AI answers here again.")).toBeVisible();
  expect(await conversationOf(admin)).toMatchObject({ ai_paused: false, ai_paused_reason: null });
  await outside.text(from, number.e164, "And a filling");
  await expect.poll(ofAi, "the AI answers again, and did not while it was silent").toBe(2);

  // Who writes silences it; the line above the thread lets it answer.
  const composer = page.getByRole("textbox", { name: /^Write to/ });
  await composer.fill("A person here.");
  await composer.press("Control+Enter");
  await expect(page.getByText(/^The AI is silent: a person wrote/)).toBeVisible();
  await expect.poll(ofAi).toBe(3);
  expect(await conversationOf(admin)).toMatchObject({ ai_paused: true, ai_paused_reason: "human" });
  await page.getByRole("button", { name: "Let the AI answer" }).first().click();
  await expect(page.getByText(/^The AI is silent/)).toBeHidden();
  await expect.poll(async () => (await conversationOf(admin)).ai_paused).toBe(false);
  await outside.text(from, number.e164, "Thanks, and a check-up");
  await expect.poll(ofAi, "the AI answers after a person").toBe(4);
  const texts = await messagesOf(admin, id);
  expect(texts.filter((each) => each.direction === "outbound").map((each) => each.sent_by)).toEqual(["ai", "human", "ai", "ai"]);
});

test("a contact is made, opts out and in; texts wait and are taken back; a conversation is given to somebody", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const from = stranger();
  const { id } = await open(admin, outside, from, number.e164, "Please call me");
  const contact = page.getByRole("region", { name: "Contact", exact: true });
  const made = contact.getByRole("button", { name: "Make a contact" });
  if (await made.isVisible()) await made.click();
  await expect.poll(async () => (await conversationOf(admin)).contact?.id).toBeTruthy();

  await contact.getByRole("button", { name: "Opt out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Opt out" }).click();
  await expect.poll(async () => (await conversationOf(admin)).opted_out).toBe(true);
  await expect(page.getByText("This contact has opted out: nothing is sent to it.")).toBeVisible();
  await contact.getByRole("button", { name: "Opt in" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Opt in" }).click();
  await expect.poll(async () => (await conversationOf(admin)).opted_out).toBe(false);

  const composer = page.getByRole("textbox", { name: /^Write to/ });
  await composer.fill("Your crown is ready.");
  await page.getByRole("button", { name: "Send later" }).click();
  await page.getByRole("button", { name: /^Tomorrow morning/ }).click();
  await page.getByRole("button", { name: "Schedule", exact: true }).click();
  const waiting = async (): Promise<string[]> => (await admin.api<{ messages: Message[] }>("GET", "/api/sms/scheduled")).messages.map((each) => each.body);
  await expect.poll(waiting).toEqual(["Your crown is ready."]);
  await admin.go("/inbox/scheduled");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel the text" }).click();
  await expect.poll(waiting).toEqual([]);
  expect((await messagesOf(admin, id)).find((each) => each.body === "Your crown is ready.")?.status).toBe("canceled");

  await page.goto(`${admin.url}/inbox/${id}`);
  await page.getByRole("button", { name: "Assign" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /\(You\)/ }).click();
  const { user } = await admin.api<{ user: { id: string } }>("GET", "/api/me");
  await expect.poll(() => admin.api("GET", `/api/sms/conversations/${id}`)).toMatchObject({ assignee_id: user.id });
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await expect.poll(() => admin.api("GET", `/api/sms/conversations/${id}`)).toMatchObject({ status: "closed" });
  await page.getByRole("button", { name: "Reopen" }).first().click();
  await expect.poll(() => admin.api("GET", `/api/sms/conversations/${id}`)).toMatchObject({ status: "open" });
  forgive(page); // who never opted out is not known to the opt-outs: a 404
});

test("a new text is begun, templates are kept, opt-outs are entered, and a lost text is decided about", async ({ admin, outside }) => {
  const { page } = admin;
  await textNumber(admin);
  const [to, lost, other] = [stranger(), stranger(), stranger()];
  await admin.go("/inbox");
  await page.getByRole("button", { name: "New text" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("To", { exact: true }).fill(to);
  await dialog.getByLabel("Text", { exact: true }).fill("We are open again.");
  await dialog.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page).toHaveURL(/\/inbox\/conv_/);
  await expect.poll(async () => (await outside.textsTo(to)).map((each) => each.body)).toEqual(["We are open again."]);

  interface Template {
    name: string;
    body: string;
  }
  const templates = async (): Promise<Template[]> => (await admin.api<{ templates: Template[] }>("GET", "/api/sms/templates")).templates;
  await admin.go("/inbox/templates");
  await page.getByRole("button", { name: "New template" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("Directions");
  await page.getByLabel("Text", { exact: true }).fill("Second floor.");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect.poll(templates).toMatchObject([{ name: "Directions", body: "Second floor." }]);
  await page.getByRole("button", { name: "Directions" }).click();
  await page.getByLabel("Text", { exact: true }).fill("Third floor.");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect.poll(templates).toMatchObject([{ name: "Directions", body: "Third floor." }]);
  await page.getByRole("button", { name: "Directions" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog", { name: /^Delete/ }).getByRole("button", { name: "Delete" }).click();
  await expect.poll(templates).toEqual([]);

  await admin.go("/inbox/opt-outs");
  await page.getByRole("button", { name: "Add an opt-out" }).first().click();
  await page.getByLabel("Phone number").fill(other);
  await page.getByRole("dialog").getByRole("button", { name: "Opt out" }).click();
  await expect.poll(async () => (await admin.api<{ opt_outs: { contact_e164: string }[] }>("GET", "/api/sms/opt-outs")).opt_outs.map((each) => each.contact_e164)).toEqual([other]);

  // The carrier says nothing of it, nor what it took.
  await outside.fail({ on: "message", do: "cut", stage: "before", to: lost }, { on: "message_list", do: "error", stage: "before", to: lost, times: 100 });
  const { id: number } = (await admin.api<{ numbers: { id: string }[] }>("GET", "/api/numbers")).numbers[0] ?? { id: "" };
  const { id } = await admin.api<{ id: string }>("POST", "/api/sms/conversations", { twilio_number_id: number, contact_e164: lost, initial_message: { body: "Lost?" } });
  const status = async (): Promise<string | undefined> => (await messagesOf(admin, id))[0]?.status;
  await expect.poll(status, { timeout: 40_000 }).toBe("unknown");
  await admin.go("/inbox/unknown");
  await page.getByLabel("It was sent").check();
  await page.getByRole("button", { name: "Decide" }).click();
  await expect.poll(status).toBe("sent");
  await expect(page.getByText("Every text is accounted for")).toBeVisible();
});

test("a new text takes files as the thread's composer does, and they arrive", async ({ admin, outside }) => {
  const { page } = admin;
  await textNumber(admin);
  const to = stranger();
  await admin.go("/inbox");
  const dialog = page.getByRole("dialog");
  const newText = async (): Promise<void> => {
    await page.getByRole("button", { name: "New text" }).first().click();
    await expect(dialog).toBeVisible();
  };
  await newText();
  await dialog.getByLabel("To", { exact: true }).fill(to);
  const chooser = page.waitForEvent("filechooser");
  await dialog.getByRole("button", { name: "Add a picture or file" }).click();
  await (await chooser).setFiles([
    { name: "form.png", mimeType: "image/png", buffer: PNG },
    { name: "page.pdf", mimeType: "application/pdf", buffer: Buffer.from("<html><script>alert(1)</script>") },
  ]);
  const toSend = dialog.getByRole("list", { name: "Files to send" });
  await expect(toSend.getByText("form.png")).toBeVisible();
  await expect(dialog.getByRole("alert")).toContainText("page.pdf: The carrier does not take this kind of file.");
  await dialog.getByLabel("Text", { exact: true }).evaluate((field) => {
    const given = new DataTransfer();
    given.items.add(new File(["BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ana\r\nEND:VCARD\r\n"], "ana.vcf", { type: "text/vcard" }));
    field.dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }));
  });
  await expect(toSend.getByRole("listitem")).toHaveCount(2);
  await admin.isRightInEverySize();
  await toSend.getByRole("button", { name: "Remove ana.vcf" }).click();
  // What was begun is there for who comes back.
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await newText();
  await expect(toSend.getByRole("listitem")).toHaveCount(1);
  await dialog.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page).toHaveURL(/\/inbox\/conv_/);
  await expect(page.getByRole("log", { name: "Messages" }).getByRole("img", { name: /image\/png/ })).toHaveCount(1);
  await expect.poll(async () => (await outside.textsTo(to)).length).toBe(1);
});

/** A picture of one pixel. */
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

test("a picture is uploaded, sent, and arrives; another is pasted, one dropped and taken back, a page is refused", async ({ admin, outside }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  const from = stranger();
  await open(admin, outside, from, number.e164, "Can you send me the form");
  const toSend = page.getByRole("list", { name: "Files to send" });
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Add a picture or file" }).click();
  await (await chooser).setFiles([
    { name: "form.png", mimeType: "image/png", buffer: PNG },
    { name: "page.pdf", mimeType: "application/pdf", buffer: Buffer.from("<html><script>alert(1)</script>") },
  ]);
  await expect(toSend.getByText("form.png")).toBeVisible();
  await expect(page.getByRole("alert")).toContainText("page.pdf: The carrier does not take this kind of file.");
  const composer = page.getByPlaceholder(/Write a text/);
  await composer.evaluate((field, base64) => {
    const given = new DataTransfer();
    given.items.add(new File([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], "pasted.png", { type: "image/png" }));
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true }));
  }, PNG.toString("base64"));
  await expect(toSend.getByText("pasted.png")).toBeVisible();
  await composer.evaluate((field) => {
    const given = new DataTransfer();
    given.items.add(new File(["BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ana\r\nEND:VCARD\r\n"], "ana.vcf", { type: "text/vcard" }));
    field.dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }));
  });
  await expect(toSend.getByText("ana.vcf")).toBeVisible();
  await admin.isAccessible();
  const removed = page.waitForResponse((answer) => answer.request().method() === "DELETE" && answer.url().includes("/api/sms/uploads/"));
  await toSend.getByRole("button", { name: "Remove ana.vcf" }).click();
  expect((await removed).status()).toBe(204);
  // What is added is there for who comes back.
  await page.reload();
  await expect(toSend.getByRole("listitem")).toHaveCount(2);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.getByRole("log", { name: "Messages" }).getByRole("img", { name: /image\/png/ })).toHaveCount(2);
  await expect(toSend).toHaveCount(0);
  const hash = createHash("sha256").update(PNG).digest("hex");
  const arrived = async (): Promise<unknown> => (await outside.textsTo(from)).find((each) => each.media.length > 0)?.media.map((each) => [each.content_type, each.sha256]);
  await expect.poll(arrived, "the phone has the pictures").toEqual([["image/png", hash], ["image/png", hash]]);
  await expect(page.getByRole("log", { name: "Messages" })).toContainText("Delivered");
});
