/** The API reference at `/docs`: Redoc over this host's own document. It is no page of the console: strangers read it, and its policy allows less. */
import { init } from "redoc/bundles/redoc.standalone.js";

const root = document.getElementById("reference");
if (root) {
  const answer = await fetch("/openapi.json");
  if (answer.ok) {
    // For a worker, Redoc's search would evaluate text, which the policy refuses and reports.
    Reflect.deleteProperty(globalThis, "Worker");
    // By its content: of an address, Redoc offers to send it to other hosts.
    init((await answer.json()) as Record<string, unknown>, { disableTelemetry: true }, root);
  } else {
    root.textContent = "The OpenAPI document could not be read. Load this page again in a moment.";
  }
}
