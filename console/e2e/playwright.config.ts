import { defineConfig } from "@playwright/test";
import { FLAGS } from "./flags.ts";

export default defineConfig({
  // The second judges what the whole of the first has done; asked for by its name alone it runs the first before.
  projects: [
    { name: "journeys", testDir: "journeys" },
    { name: "whole", testDir: "whole", dependencies: ["journeys"] },
  ],
  globalSetup: "./platform.ts",
  // One platform and two cores: journeys share both, each with an organization of its own.
  workers: 2,
  fullyParallel: true,
  // One generous deadline: a machine that others use too takes three times as long.
  timeout: 240_000,
  expect: { timeout: 15_000 },
  retries: 0,
  reporter: [["list"]],
  outputDir: process.env["JOURNEYS_OUTPUT"] ?? "../node_modules/.journeys",
  use: {
    locale: "en-US",
    timezoneId: "UTC",
    viewport: { width: 1440, height: 900 },
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: [...FLAGS, "--use-fake-device-for-media-stream"] },
  },
});
