/** A call from this browser by WebRTC: it begins, is followed, and ends; the page draws what is told here. */
import { type Schemas, api, data, idempotencyKey, readError } from "@/api/client";
import { asApiError } from "@/api/queries";
import { levelOf } from "./transcript";

export type Phase = "idle" | "microphone" | "calling" | "connected" | "ended";
export type Fault = "insecure" | "denied" | "no_microphone" | "lost" | { message: string; requestId: string };

type Events = Schemas["StreamCallEvents"];

export interface Listener {
  onPhase: (phase: Phase) => void;
  onFault: (fault: Fault) => void;
  onCallId: (id: string) => void;
  onDelta: (delta: Events["transcript.delta"]) => void;
  onTurn: (turn: Events["transcript.turn"]) => void;
  onTool: (tool: Events["tool.started"]) => void;
  onEnded: (ended: Events["call.ended"]) => void;
  onLevels: (caller: number, agent: number) => void;
}

const MAX_GATHER_MS = 2000; // candidates only matter where the deployment has ICE servers
const LEVEL_INTERVAL_MS = 80;

export class BrowserCall {
  readonly #connection = new RTCPeerConnection();
  readonly #listener: Listener;
  readonly #audio: HTMLAudioElement;
  #microphone: MediaStream | null = null;
  #events: EventSource | null = null;
  #context: AudioContext | null = null;
  #levels: ReturnType<typeof setInterval> | undefined;
  #id: string | null = null;
  #isOver = false;

  constructor(audio: HTMLAudioElement, listener: Listener) {
    this.#audio = audio;
    this.#listener = listener;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async place(flowId: string): Promise<void> {
    try {
      if (!("mediaDevices" in navigator)) return this.#fail("insecure");
      this.#listener.onPhase("microphone");
      this.#microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (this.#isOver) return this.#close();
      for (const track of this.#microphone.getTracks()) this.#connection.addTrack(track, this.#microphone);
      this.#connection.addEventListener("track", (event) => this.#hear(new MediaStream([event.track])));
      this.#connection.addEventListener("connectionstatechange", () => {
        if (this.#connection.connectionState === "connected") this.#listener.onPhase("connected");
        if (this.#connection.connectionState === "failed") this.#fail("lost");
      });
      await this.#connection.setLocalDescription();
      await gathered(this.#connection);
      if (this.#isOver) return this.#close();
      this.#listener.onPhase("calling");
      const sdp = this.#connection.localDescription?.sdp ?? "";
      const answer = await data(api.POST("/api/calls/browser", { params: { header: { "Idempotency-Key": idempotencyKey() } }, body: { flow_id: flowId, sdp } }));
      this.#id = answer.call_id;
      this.#listener.onCallId(answer.call_id);
      if (this.#isOver) return this.#hangUp(); // it was canceled meanwhile
      this.#follow(answer.call_id);
      await this.#connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    } catch (error) {
      this.#fail(faultOf(error));
      this.#hangUp();
    }
    return undefined;
  }

  mute(isMuted: boolean): void {
    for (const track of this.#microphone?.getTracks() ?? []) track.enabled = !isMuted;
  }

  /** The stream tells when it is over; a call that has not begun is over at once. Nothing more is heard of who has pressed this. */
  end(): void {
    this.mute(true);
    if (this.#id) this.#hangUp((error) => this.#fail(faultOf(error)));
    else this.#over({ status: "canceled", reason: null, duration_seconds: null });
  }

  /** The page goes: nothing is told any more. */
  leave(): void {
    if (this.#isOver) return;
    this.#hangUp();
    this.#close();
  }

  /** `onRefused`: the server was not told; it ends a call once its sound has stopped. */
  #hangUp(onRefused: (error: unknown) => void = () => undefined): void {
    if (!this.#id) return;
    // What is on its way is finished even if the page is closed now.
    fetch(`/api/calls/${encodeURIComponent(this.#id)}/hangup`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}", keepalive: true })
      .then(async (answer) => {
        if (!answer.ok) throw await readError(answer);
      })
      .catch(onRefused);
  }

  #follow(id: string): void {
    const events = new EventSource(`/api/calls/${encodeURIComponent(id)}/stream`);
    this.#events = events;
    const on = <N extends keyof Events>(name: N, take: (event: Events[N]) => void): void => events.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent<string>).data) as Events[N]));
    on("transcript.delta", this.#listener.onDelta);
    on("transcript.turn", this.#listener.onTurn);
    on("tool.started", this.#listener.onTool);
    on("tool.finished", this.#listener.onTool);
    on("call.ended", (ended) => this.#over(ended));
  }

  #hear(agent: MediaStream): void {
    this.#audio.srcObject = agent;
    void this.#audio.play().catch(() => undefined);
    const context = new AudioContext();
    this.#context = context;
    const meter = (stream: MediaStream): (() => number) => {
      const analyser = context.createAnalyser();
      analyser.fftSize = 1024;
      context.createMediaStreamSource(stream).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      return () => {
        analyser.getFloatTimeDomainData(samples);
        return levelOf(samples);
      };
    };
    const caller = this.#microphone ? meter(this.#microphone) : () => 0;
    const theirs = meter(agent);
    this.#levels = setInterval(() => this.#listener.onLevels(caller(), theirs()), LEVEL_INTERVAL_MS);
  }

  #over(ended: Events["call.ended"]): void {
    if (this.#isOver) return;
    this.#close();
    this.#listener.onEnded(ended);
    this.#listener.onPhase("ended");
  }

  #fail(fault: Fault): void {
    if (this.#isOver) return;
    this.#close();
    this.#listener.onFault(fault);
    this.#listener.onPhase("ended");
  }

  #close(): void {
    this.#isOver = true;
    clearInterval(this.#levels);
    this.#events?.close();
    this.#connection.close();
    void this.#context?.close().catch(() => undefined);
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#listener.onLevels(0, 0);
  }
}

function faultOf(error: unknown): Fault {
  if (error instanceof DOMException && error.name === "NotAllowedError") return "denied";
  if (error instanceof DOMException && (error.name === "NotFoundError" || error.name === "NotReadableError")) return "no_microphone";
  const refusal = asApiError(error);
  return { message: refusal.message, requestId: refusal.requestId };
}

function gathered(connection: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (connection.iceGatheringState === "complete") resolve();
    };
    connection.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, MAX_GATHER_MS);
    look();
  });
}
