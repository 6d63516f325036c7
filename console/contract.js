/**
 * The contract's types for editors: `python -m gateway.openapi | node contract.js > src/api/schema.d.ts`.
 *
 * The body of a create or an update lacks what only answers have, which the API refuses. TypeScript would let a wider value pass as such a
 * body, so each of these fields is there as one that has no value.
 */
import { text } from "node:stream/consumers";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const NEVER = "x-never";
const NEVER_TYPE = ts.factory.createKeywordTypeNode(ts.SyntaxKind.NeverKeyword);

const contract = JSON.parse(await text(process.stdin));
const { schemas } = contract.components;
for (const [name, body] of Object.entries(schemas)) {
  const answer = schemas[/^(.+)(?:Input|Patch)$/.exec(name)?.[1] ?? ""];
  for (const field of Object.keys(answer?.properties ?? {})) body.properties[field] ??= { [NEVER]: true };
}
const nodes = await openapiTS(contract, { transform: (schema) => (NEVER in schema ? NEVER_TYPE : undefined) });
process.stdout.write(astToString(nodes));
