/**
 * What the console can change, and what of it a run's pages have changed: the operations of the API by the typed calls in the console's
 * source, and by the requests that its pages sent and the platform carried out.
 */
import { appendFileSync, globSync, readFileSync } from "node:fs";
import type { BrowserContext } from "@playwright/test";
import { REPOSITORY } from "./platform.ts";

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const TYPED_CALL = /\bapi\s*\.(POST|PUT|PATCH|DELETE)\(\s*"([^"]+)"/g;

export const isChange = (method: string): boolean => UNSAFE.has(method);

/** Each change that the console's source can ask for, as `POST /api/flows/{id}/duplicate`. */
export function sendable(): Set<string> {
  const files = globSync("console/src/**/*.{ts,tsx}", { cwd: REPOSITORY, exclude: (name) => /\.test\.|schema\.d\.ts$/.test(name) });
  return new Set(files.flatMap((file) => [...readFileSync(`${REPOSITORY}${file}`, "utf8").matchAll(TYPED_CALL)].map(([, method, path]) => `${method} ${path}`)));
}

/** Note each change that pages of this browser ask for and get, with its path as it was sent. */
export function record(context: BrowserContext, publicUrl: string): void {
  const file = process.env["JOURNEYS_SENT"];
  if (!file) return;
  context.on("response", (response) => {
    const url = new URL(response.url());
    const method = response.request().method();
    if (response.ok() && UNSAFE.has(method) && url.origin === publicUrl && url.pathname.startsWith("/api/")) appendFileSync(file, `${method} ${url.pathname}\n`);
  });
}

/** What was noted, each once. */
export function recorded(): string[] {
  const file = process.env["JOURNEYS_SENT"];
  return file ? [...new Set(readFileSync(file, "utf8").split("\n").filter(Boolean))] : [];
}

/** Of the operations that a sent path may mean, the one with the most literal parts: `/api/contacts/import` is no contact's. */
export function templateOf(sent: string, templates: Iterable<string>): string | undefined {
  const literals = (template: string): number => template.split("/").filter((part) => !part.startsWith("{")).length;
  const fitting = [...templates].filter((template) => {
    const [parts, sentParts] = [template.split("/"), sent.split("/")];
    return parts.length === sentParts.length && parts.every((part, at) => part === sentParts[at] || (part.startsWith("{") && sentParts[at] !== ""));
  });
  return fitting.toSorted((a, b) => literals(b) - literals(a))[0];
}

export interface OpenApi {
  paths: Record<string, Record<string, { operationId: string }>>;
}

/** The names of the operations that change something, by method and path. */
export function changes({ paths }: OpenApi): Map<string, string> {
  return new Map(Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).flatMap(([method, { operationId }]) => (UNSAFE.has(method.toUpperCase()) ? [[`${method.toUpperCase()} ${path}`, operationId] as const] : []))));
}
