/** What a JSON Schema asks for, and how its values are changed; as the API's free-form fields describe themselves. */

export interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: boolean | JsonSchema;
  propertyNames?: JsonSchema;
  items?: JsonSchema;
  oneOf?: JsonSchema[];
  $ref?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  pattern?: string;
  format?: string;
  description?: string;
  "x-must-be"?: string;
}

export type Shape = "object" | "map" | "array" | "choice" | "number" | "boolean" | "text" | "json";

/** Follow references into `schemas`, and leave out that a value may be null: that is its field's matter. */
export function resolved(schema: JsonSchema, schemas: Record<string, JsonSchema> = {}): JsonSchema {
  if (schema.$ref) {
    const target = schemas[schema.$ref.split("/").at(-1) ?? ""];
    return target ? resolved(target, schemas) : {};
  }
  const alternatives = schema.oneOf?.filter((each) => each.type !== "null");
  if (alternatives?.length === 1 && alternatives[0]) {
    const { oneOf: _, ...around } = schema;
    return { ...resolved(alternatives[0], schemas), ...around };
  }
  return schema;
}

function typeOf(schema: JsonSchema): string | undefined {
  if (!Array.isArray(schema.type)) return schema.type;
  const types = schema.type.filter((each) => each !== "null");
  return types.length === 1 ? types[0] : undefined;
}

/** Which control a schema gets; `json` where none fits. */
export function shapeOf(schema: JsonSchema): Shape {
  if (schema.enum) return "choice";
  const type = typeOf(schema);
  if (type === "object") {
    if (schema.properties && schema.additionalProperties !== true) return "object";
    return typeof schema.additionalProperties === "object" ? "map" : "json";
  }
  if (type === "array") return schema.items ? "array" : "json";
  if (type === "integer" || type === "number") return "number";
  if (type === "boolean") return "boolean";
  return type === "string" ? "text" : "json";
}

/** What a new element begins with. */
export function blankOf(schema: JsonSchema): unknown {
  switch (shapeOf(schema)) {
    case "object":
    case "map":
    case "json":
      return {};
    case "array":
      return Array.from({ length: schema.minItems ?? 0 }, () => blankOf(schema.items ?? {}));
    case "choice":
      return schema.enum?.[0];
    case "number":
      return schema.minimum ?? 0;
    case "boolean":
      return false;
    default:
      return "";
  }
}

/** An object with a member changed; without it when `value` is undefined. */
export function withMember(object: Record<string, unknown>, name: string, value: unknown): Record<string, unknown> {
  if (value === undefined) {
    const { [name]: _, ...rest } = object;
    return rest;
  }
  return { ...object, [name]: value };
}

/** An object whose member has another name, at the same place; null if that name is taken. */
export function renamed(object: Record<string, unknown>, from: string, to: string): Record<string, unknown> | null {
  if (from === to) return object;
  if (to in object) return null;
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name === from ? to : name, value]));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Why a text isn't what the schema asks for, in the schema's words; undefined if it is. */
export function complaint(schema: JsonSchema, value: unknown): string | undefined {
  if (typeof value !== "string" || !schema.pattern) return undefined;
  return new RegExp(schema.pattern, "u").test(value) ? undefined : (schema["x-must-be"] ?? schema.pattern);
}

/** `cut_after_ms` as a person reads it: "Cut after (ms)". */
export function wordsOf(name: string): string {
  const unit = /_(ms|seconds|chars|bytes)$/.exec(name)?.[1];
  const words = (unit ? name.slice(0, -unit.length - 1) : name).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1) + (unit ? ` (${unit === "seconds" ? "s" : unit})` : "");
}
