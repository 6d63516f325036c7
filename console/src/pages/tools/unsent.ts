/** Which arguments of a tool its request has no place for, and the place where they are sent. */
import { isObject } from "@/ui/schema-form/schema";
import { type Draft, parsed } from "./draft";

type Request = Pick<Draft, "method" | "url" | "headers" | "query" | "body" | "parameters">;

export function takesBody({ method }: Pick<Draft, "method">): boolean {
  return ["POST", "PUT", "PATCH"].includes(method);
}

/** The arguments that no template of the request names. */
export function unsentOf(draft: Request): string[] {
  const schema = parsed(draft.parameters);
  const properties = isObject(schema) && isObject(schema["properties"]) ? Object.keys(schema["properties"]) : [];
  const written = [draft.url, draft.body, ...[...draft.headers, ...draft.query].map(([, value]) => value)].join("\n");
  // All of them at once, as `{{ args | tojson }}` has them.
  if (/\bargs\b(?!\s*[.[])/.test(written)) return [];
  return properties.filter((name) => !new RegExp(`\\bargs\\b(\\.${escaped(name)}\\b|\\[\\s*\\\\?["']${escaped(name)}\\\\?["'])`).test(written));
}

/** The change that sends these: members of the body where the request has one that is an object, or else parameters of its address. */
export function sending(draft: Request, names: readonly string[]): Partial<Draft> {
  const body = parsed(draft.body) ?? {};
  if (!takesBody(draft) || !isObject(body)) return { query: [...draft.query, ...names.map((name) => [name, template(name)] as const)] };
  return { body: JSON.stringify({ ...body, ...Object.fromEntries(names.map((name) => [name, template(name)])) }, null, 2) };
}

function template(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? `{{ args.${name} }}` : `{{ args[${JSON.stringify(name).replaceAll('"', "'")}] }}`;
}

function escaped(name: string): string {
  return name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
