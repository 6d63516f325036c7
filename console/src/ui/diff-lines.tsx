/** A difference as `diff -u` writes it: what is gone and what is new, told by sign and colour. */
const LOOKS: Record<string, string> = { "+": "bg-good-soft text-good", "-": "bg-bad-soft text-bad", "@": "text-dim" };

export function DiffLines({ label, lines }: { label: string; lines: readonly string[] }) {
  return (
    <pre role="region" aria-label={label} tabIndex={0} className="max-h-[50dvh] overflow-auto rounded-control border border-line bg-surface py-1.5 font-mono text-xs">
      {lines
        .filter((line) => !line.startsWith("---") && !line.startsWith("+++"))
        .map((line, at) => (
          <span key={at} className={`block px-2.5 whitespace-pre-wrap ${LOOKS[line[0] ?? ""] ?? ""}`}>
            {line || " "}
          </span>
        ))}
    </pre>
  );
}
