import { defineConfig, mergeConfig } from "vitest/config";
import config from "./vite.config.ts";

export default mergeConfig(config, defineConfig({ test: { environment: "happy-dom", isolate: false, setupFiles: "vitest.setup.ts", testTimeout: 60_000, hookTimeout: 60_000, include: ["src/**/*.test.{ts,tsx}"] } }));
