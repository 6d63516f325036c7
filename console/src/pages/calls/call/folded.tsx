/** JSON behind a line that says what it is. */
import { Code } from "@/ui/json";

const SHORT_CHARACTERS = 90;

export function Folded({ label, value }: { label: string; value: unknown }) {
  const inline = inLine(value);
  if (inline === "") return null;
  if (inline.length <= SHORT_CHARACTERS) {
    return (
      <p className="pb-1 text-xs">
        <span className="text-dim">{label} </span>
        <code className="font-mono">{inline}</code>
      </p>
    );
  }
  return (
    <details className="pb-1 text-xs">
      <summary className="truncate rounded text-dim hover:text-ink">
        {label} <code className="font-mono">{inline.slice(0, SHORT_CHARACTERS)}…</code>
      </summary>
      <div className="mt-1">
        <Code label={label} value={value} />
      </div>
    </details>
  );
}

/** Facts of a flat object as `name: value`; nothing for what is empty. */
function inLine(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value !== "object") return String(value);
  const pairs = Object.entries(value);
  if (pairs.length === 0) return "";
  if (!Array.isArray(value) && pairs.every(([, each]) => typeof each !== "object" || each === null)) return pairs.map(([name, each]) => `${name}: ${String(each)}`).join(", ");
  return JSON.stringify(value);
}
