import { useTexts } from "@/i18n";
import { type Line, hoursInWords } from "../describe/words";

/** A function from business hours to lines that say them. */
export function useHoursLines(): (value: unknown) => Line[] {
  const words = useTexts("agentForm").hours;
  return (value) => hoursInWords(value, { ...words.inWords, days: words.days });
}

export function Lines({ lines }: { lines: readonly Line[] }) {
  return (
    <dl className="grid grid-cols-[minmax(7rem,auto)_1fr] gap-x-3 gap-y-0.5 rounded-control bg-sunken px-3 py-2 text-[13px] tabular">
      {lines.map(({ label, text }) => (
        <div key={label} className="contents">
          <dt className="text-dim">{label}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}
