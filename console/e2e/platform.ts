/**
 * The platform that the journeys use: `hum up` in a home of its own, on free ports, with the sandbox as the outside world.
 *
 * `JOURNEYS_HOME` names a platform that runs already, so that one who writes a journey needn't wait.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const REPOSITORY = new URL("../..", import.meta.url).pathname;
const PYTHON = process.env["HUM_PYTHON"] ?? join(REPOSITORY, ".venv/bin/python");
const START_MS = 180_000;
const STOP_MS = 60_000;

export interface Run {
  public_url: string;
  carrier_url: string;
  model_url: string;
  numbers: string[];
}

export async function readRun(home: string): Promise<Run> {
  return JSON.parse(await readFile(join(home, "run.json"), "utf8")) as Run;
}

export default async function setup(): Promise<() => Promise<void>> {
  const notes = await mkdtemp(join(tmpdir(), "hum-journeys-sent-"));
  process.env["JOURNEYS_SENT"] = join(notes, "sent");
  await writeFile(process.env["JOURNEYS_SENT"], "");
  const stop = await start();
  return async () => {
    await stop();
    await rm(notes, { recursive: true, force: true });
  };
}

async function start(): Promise<() => Promise<void>> {
  const running = process.env["JOURNEYS_HOME"];
  if (running) {
    process.env["HUM_HOME"] = running;
    return async () => undefined;
  }
  const { home, stop } = await startPlatform({});
  process.env["HUM_HOME"] = home;
  return stop;
}

/** A platform in a home of its own, with these settings besides those of all journeys. */
export async function startPlatform({ HUM_OVERRIDES: overrides = "", ...settings }: Record<string, string>): Promise<{ home: string; stop: () => Promise<void> }> {
  const home = await mkdtemp(join(tmpdir(), "hum-journeys-"));
  const listen = Object.fromEntries(["GATEWAY", "MEDIA", "CONTROL"].map((plane) => [`HUM_${plane}_LISTEN`, "127.0.0.1:0"]));
  const platform = spawn(PYTHON, ["-m", "cli", "up"], {
    cwd: REPOSITORY,
    env: { ...process.env, ...listen, ...SETTINGS, ...settings, HUM_OVERRIDES: `${SETTINGS.HUM_OVERRIDES} ${overrides}`.trim(), HUM_HOME: home, PYTHONPATH: REPOSITORY },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [platform.stdout, platform.stderr]) stream.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const until = Date.now() + START_MS;
  while (!printed.includes("HUM is up")) {
    if (platform.exitCode !== null || Date.now() > until) throw new Error(`the platform did not start:\n${printed}`);
    await sleep(200);
  }
  const stop = async (): Promise<void> => {
    const gone = new Promise((resolve) => platform.once("exit", resolve));
    platform.kill("SIGINT");
    platform.kill("SIGINT");
    await Promise.race([gone, sleep(STOP_MS)]);
    if (platform.exitCode === null) platform.kill("SIGKILL");
    await rm(home, { recursive: true, force: true });
  };
  return { home, stop };
}

/** Limits on requests, which a journey would exceed, and addresses of this machine that customers' URLs may reach. */
const SETTINGS = {
  HUM_EGRESS_ALLOW: "127.0.0.0/8",
  HUM_OVERRIDES: "rate_burst=2000 rate_per_second=500 organization_rate_burst=4000 organization_rate_per_second=1000 text_unknown_seconds=3 carrier_look_seconds=1",
  HUM_DRAIN_SECONDS: "1",
};
