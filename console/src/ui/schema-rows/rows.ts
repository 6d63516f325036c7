/** The schema of a flat object as rows; one that has more stays JSON. */
import { isObject } from "@/ui/schema-form/schema";

export const TYPES = ["string", "number", "integer", "boolean", "enum"] as const;
export type RowType = (typeof TYPES)[number];

export interface Row {
  name: string;
  type: RowType;
  description: string;
  isNeeded: boolean;
  choices: string[];
}

const MEMBERS = new Set(["type", "description", "enum"]);
const WHOLE = new Set(["type", "properties", "required", "additionalProperties"]);

/** The rows of a schema; null if it has more than rows can show. */
export function rowsOf(schema: unknown): Row[] | null {
  if (schema === null || schema === undefined) return [];
  if (!isObject(schema) || Object.keys(schema).some((name) => !WHOLE.has(name))) return null;
  const properties = schema["properties"] ?? {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  if (!isObject(properties)) return null;
  const rows: Row[] = [];
  for (const [name, raw] of Object.entries(properties)) {
    if (!isObject(raw) || Object.keys(raw).some((each) => !MEMBERS.has(each))) return null;
    const choices = raw["enum"];
    if (choices !== undefined && !(Array.isArray(choices) && choices.every((each) => typeof each === "string"))) return null;
    const type = choices ? "enum" : TYPES.find((each) => each === raw["type"]);
    if (!type || (choices && raw["type"] !== undefined && raw["type"] !== "string")) return null;
    rows.push({ name, type, description: typeof raw["description"] === "string" ? raw["description"] : "", isNeeded: required.includes(name), choices: choices ?? [] });
  }
  return rows;
}

/** The schema of rows; null if there are none. What `before` says besides stays. */
export function schemaOf(rows: readonly Row[], before: unknown): Record<string, unknown> | null {
  if (rows.length === 0) return null;
  const properties = Object.fromEntries(
    rows.map((row) => [
      row.name,
      {
        type: row.type === "enum" ? "string" : row.type,
        ...(row.type === "enum" ? { enum: row.choices } : {}),
        ...(row.description ? { description: row.description } : {}),
      },
    ]),
  );
  const required = rows.filter((row) => row.isNeeded).map((row) => row.name);
  const rest = isObject(before) && "additionalProperties" in before ? { additionalProperties: before["additionalProperties"] } : {};
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}), ...rest };
}
