/** JSON to read: folded by member, cut until one wants all, copied as a whole. The route loads the section `json`. */
import { Check, ChevronDown, ChevronRight, Copy } from "lucide-react";
import { useMemo, useState } from "react";
import { useTexts } from "@/i18n";
import { bytes } from "@/lib/format";
import { type Line, linesOf, parsedOrText } from "./json-lines";

export interface JsonProps {
  value: unknown;
  /** What it is, for screen readers. */
  label: string;
  /** How many levels are open at first. */
  openLevels?: number;
}

const TONES: Record<Line["kind"], string> = { text: "text-good", number: "text-info", word: "text-warn", open: "text-dim", close: "text-dim" };

export function Json({ value, label, openLevels = 3 }: JsonProps) {
  const t = useTexts("json");
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set());
  const [isWhole, setWhole] = useState(false);
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value]);
  const { lines, isCut } = useMemo(
    () => linesOf(value, (path, depth) => (depth >= openLevels) !== turned.has(path), isWhole ? Infinity : undefined),
    [value, turned, isWhole, openLevels],
  );
  const turn = (path: string): void =>
    setTurned((old) => {
      const next = new Set(old);
      if (!next.delete(path)) next.add(path);
      return next;
    });
  return (
    <div className="relative min-w-0 rounded-control border border-line bg-sunken">
      <CopyAll text={text} />
      <div role="region" aria-label={label} tabIndex={0} className="max-h-[28rem] overflow-auto rounded-control py-2 pr-10 pl-1 font-mono text-xs leading-5">
        {lines.map((line) => (
          <LineView key={`${line.path} ${line.kind}`} line={line} onTurn={turn} />
        ))}
      </div>
      {isCut && (
        <div className="border-t border-line px-3 py-1.5 text-xs">
          {isWhole ? (
            <span className="text-dim">{t.tooLong}</span>
          ) : (
            <button type="button" className="rounded font-medium text-accent hover:underline" onClick={() => setWhole(true)}>
              {t.showAll(bytes(text.length))}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** What machines wrote, whether it is a value or a text. */
export function Code({ value, ...rest }: JsonProps) {
  return typeof value === "string" ? <JsonText {...rest} text={value} /> : <Json {...rest} value={value} />;
}

/** A text that may be JSON: as such, or as it is. */
export function JsonText({ text, ...rest }: Omit<JsonProps, "value"> & { text: string }) {
  const value = useMemo(() => parsedOrText(text), [text]);
  return typeof value === "object" && value !== null ? <Json {...rest} value={value} /> : <PlainText {...rest} text={text} />;
}

const MOST_TEXT = 2048;

function PlainText({ text, label }: { text: string; label: string }) {
  const t = useTexts("json");
  const [isWhole, setWhole] = useState(false);
  const isCut = !isWhole && text.length > MOST_TEXT;
  return (
    <div className="relative min-w-0 rounded-control border border-line bg-sunken">
      <CopyAll text={text} />
      <pre role="region" aria-label={label} tabIndex={0} className="max-h-[28rem] overflow-auto rounded-control py-2 pr-10 pl-3 font-mono text-xs leading-5 whitespace-pre-wrap">
        {isCut ? `${text.slice(0, MOST_TEXT)}…` : text}
      </pre>
      {isCut && (
        <div className="border-t border-line px-3 py-1.5 text-xs">
          <button type="button" className="rounded font-medium text-accent hover:underline" onClick={() => setWhole(true)}>
            {t.showAll(bytes(text.length))}
          </button>
        </div>
      )}
    </div>
  );
}

function LineView({ line, onTurn }: { line: Line; onTurn: (path: string) => void }) {
  const t = useTexts("json");
  const isFolded = line.folded !== undefined;
  const place = line.name ?? t.value;
  return (
    <div className="flex min-w-0 items-start" style={{ paddingLeft: `${line.depth * 1.1}rem` }}>
      {line.kind === "open" ? (
        <button type="button" aria-expanded={!isFolded} aria-label={isFolded ? t.unfold(place) : t.fold(place)} className="mt-0.5 grid size-4 shrink-0 place-items-center rounded text-dim hover:bg-hover hover:text-ink" onClick={() => onTurn(line.path)}>
          {isFolded ? <ChevronRight size={12} aria-hidden /> : <ChevronDown size={12} aria-hidden />}
        </button>
      ) : (
        <span className="w-4 shrink-0" />
      )}
      <span className="min-w-0 whitespace-pre-wrap">
        {line.name !== undefined && <span className="text-ink">{line.name}: </span>}
        <span className={TONES[line.kind]}>{line.text}</span>
        {isFolded && <span className="pl-1.5 font-sans text-dim">{t.members(line.folded ?? 0)}</span>}
        {!line.isLast && (line.kind !== "open" || isFolded) && <span className="text-dim">,</span>}
      </span>
    </div>
  );
}

function CopyAll({ text }: { text: string }) {
  const t = useTexts("json");
  const [isCopied, setCopied] = useState(false);
  const label = isCopied ? t.copied : t.copy;
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className="absolute top-1 right-1 z-1 rounded bg-sunken p-1.5 text-dim hover:bg-hover hover:text-ink"
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), 1500);
        });
      }}
    >
      {isCopied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
    </button>
  );
}
