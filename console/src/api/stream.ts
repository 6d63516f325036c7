/** The stream of news: one connection, opened again when it ends. The worker that all tabs share has one, or a tab its own. */
import { CHANGES, type ChangeName } from "./changes";

/** What the stream tells: the name of its event, and the thing as its list shows it. */
export interface News {
  type: ChangeName;
  id?: string;
  [field: string]: unknown;
}

/** `refused`: no connection, and the server said so. It is tried again, later and later. */
export type State = "connecting" | "open" | "lost" | "refused";
/** What a tab is told by whoever has the connection. */
export type Message = { news: News } | { state: State };

const AGAIN_MS = [1000, 2000, 5000, 10_000, 20_000] as const;
/** The server sends a comment every 15 s, which nobody sees here; so a sleep is noticed by our own clock. */
const LOOK_MS = 10_000;
const ASLEEP_MS = 60_000;

export class Stream {
  state: State = "connecting";
  #source: EventSource | undefined;
  #refusals = 0;
  #again: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly tell: (message: Message) => void) {}

  /** Whether there is a connection, or one that the browser mends. */
  get isHeld(): boolean {
    return this.#source !== undefined;
  }

  /** Anew, if there is a connection already. */
  open(): void {
    clearTimeout(this.#again);
    this.#source?.close();
    this.#watch();
    const source = new EventSource("/api/stream");
    this.#source = source;
    source.addEventListener("open", () => {
      this.#refusals = 0;
      this.#set("open");
    });
    source.addEventListener("error", () => {
      // A break mends itself, and goes on after the last id. A refusal doesn't: signed out, too many streams, a deploy.
      if (source.readyState !== EventSource.CLOSED) return this.#set("lost");
      this.#source = undefined;
      this.#again = setTimeout(() => this.open(), AGAIN_MS[Math.min(this.#refusals, AGAIN_MS.length - 1)]);
      this.#refusals += 1;
      return this.#set("refused");
    });
    for (const type of CHANGES) {
      source.addEventListener(type, ({ data }: MessageEvent<string>) => this.tell({ news: { ...(JSON.parse(data) as object), type } as News }));
    }
  }

  stop(): void {
    clearTimeout(this.#again);
    clearInterval(this.#look);
    this.#look = undefined;
    this.#source?.close();
    this.#source = undefined;
    this.state = "connecting";
  }

  #set(next: State): void {
    this.state = next;
    this.tell({ state: next });
  }

  /** A machine that slept has a connection that nobody may have ended. */
  #watch(): void {
    let lookedAt = Date.now();
    this.#look ??= setInterval(() => {
      const now = Date.now();
      const hasSlept = now - lookedAt > ASLEEP_MS;
      lookedAt = now;
      if (hasSlept) this.open();
    }, LOOK_MS);
  }
}
