// Verifies a delivery with libraries that nobody here wrote; reads {"secret", "headers", "body"} and prints what each found.
import { readFileSync } from "node:fs";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const found = {};
for (const [name, Webhook] of Object.entries({ standardwebhooks: Standard, svix: Svix })) {
  try {
    found[name] = new Webhook(secret).verify(body, headers).id;
  } catch (error) {
    found[name] = error.message;
  }
}
console.log(JSON.stringify(found));
