/** Parts that can't be loaded: the page stays, a toast says so, and they come by themselves once the server is there again. */
import { textsOf } from "@/i18n";
import { missing } from "./part";
import { toast } from "./toast";

const AGAIN_MS = 5000;
/** What is tried again, all of it at once. */
const waiting = new Set<() => Promise<void>>();
let told: { isReached: boolean; dismiss: () => void } | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

missing.load = <T>(load: () => Promise<T>): Promise<T> =>
  new Promise((resolve) => {
    const attempt = async (): Promise<void> => {
      resolve(await load());
      waiting.delete(attempt);
    };
    waiting.add(attempt);
    told?.dismiss(); // a person has just asked: it is said anew
    told = undefined;
    void tell();
  });

/** Say why it does not come: a server that answers has a newer console, which lacks the part. */
async function tell(): Promise<void> {
  clearTimeout(timer);
  timer = setTimeout(() => void again(), AGAIN_MS);
  const isReached = await fetch("/", { method: "HEAD", cache: "no-store" }).then(
    (answer) => answer.ok,
    () => false,
  );
  const t = await textsOf("shell");
  if (waiting.size === 0 || told?.isReached === isReached) return;
  told?.dismiss();
  const action = isReached ? { label: t.reload, run: () => location.reload() } : { label: t.tryAgain, run: () => void again(true) };
  told = { isReached, dismiss: toast.stays(isReached ? t.newVersion : t.noAnswer(0), action) };
}

async function again(isAsked = false): Promise<void> {
  if (isAsked) told = undefined; // the button has closed it
  await Promise.allSettled([...waiting].map((attempt) => attempt()));
  if (waiting.size > 0) return tell();
  clearTimeout(timer);
  told?.dismiss();
  told = undefined;
}

window.addEventListener("online", () => void (waiting.size > 0 && again()));
