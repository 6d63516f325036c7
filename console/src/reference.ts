/** The API reference at `/docs`: Redoc over this host's own document. It is no page of the console: strangers read it, and its policy allows less. */
import { init } from "redoc/bundles/redoc.standalone.js";

const DOWNLOADS = ["/openapi.json", "/openapi.yaml"].map((url) => ({ url, title: url.slice(1) }));
const WAY_BACK = { url: "/icon.svg", href: "/", altText: "HUM's console" };

interface Description {
  info: Record<string, unknown>;
}

const root = document.getElementById("reference");
if (root) {
  const answer = await fetch("/openapi.json");
  if (answer.ok) {
    const { info, ...rest } = (await answer.json()) as Description;
    // By its content: of an address, Redoc offers to send it to other hosts.
    init({ ...rest, info: { ...info, "x-logo": WAY_BACK } }, { downloadUrls: DOWNLOADS, disableTelemetry: true, sanitize: true }, root);
  } else {
    root.textContent = "The OpenAPI document could not be read. Load this page again in a moment.";
  }
}
