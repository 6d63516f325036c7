/** Which events are sent: all, whole kinds, or types; each kind opens to its types. */
import { ChevronRight, X } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";
import { KINDS } from "@/lib/event-types";
import { Button, IconButton } from "@/ui/button";
import { TextField } from "@/ui/field";
import { turned } from "./values";

interface Props {
  events: readonly string[];
  onChange: (next: string[]) => void;
  error: string | undefined;
  isOff: boolean;
}

const OWN = /^external(\.[a-z0-9]([a-z0-9_]*[a-z0-9])?){1,4}$/;

export function EventsPicker({ events, onChange, error, isOff }: Props) {
  const t = useTexts("webhooks");
  const [isChoosing, setChoosing] = useState(events.length > 0);
  const isAll = events.length === 0 && !isChoosing;
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 text-[13px] font-medium">{t.events}</legend>
      <div className="flex flex-col gap-1">
        <label className="flex min-h-8 items-center gap-2">
          <input
            type="radio"
            name="which-events"
            className="accent-accent"
            checked={isAll}
            disabled={isOff}
            onChange={() => {
              setChoosing(false);
              onChange([]);
            }}
          />
          {t.allEvents}
        </label>
        <label className="flex min-h-8 items-center gap-2">
          <input type="radio" name="which-events" className="accent-accent" checked={!isAll} disabled={isOff} onChange={() => setChoosing(true)} />
          {t.chosenEvents}
        </label>
      </div>
      {!isAll && (
        <>
          <ul className="mt-1 divide-y divide-line rounded-control border border-line">
            {KINDS.map((each) => (
              <KindRow key={each.kind} {...each} events={events} isOff={isOff} onTurn={(type) => onChange(turned(events, type, each.types))} />
            ))}
          </ul>
          <OwnTypes events={events} onChange={onChange} isOff={isOff} />
          {events.length === 0 && <p className="mt-1 text-xs text-dim">{t.noneChosen}</p>}
        </>
      )}
      {error && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}

function KindRow({ kind, types, events, isOff, onTurn }: { kind: string; types: readonly string[]; events: readonly string[]; isOff: boolean; onTurn: (type: string) => void }) {
  const t = useTexts("webhooks");
  const whole = types.length === 1 && types[0] ? types[0] : `${kind}.*`;
  const isWhole = events.includes(whole) || events.includes(`${kind}.*`);
  const count = isWhole ? types.length : types.filter((each) => events.includes(each)).length;
  return (
    <li className="relative">
      <input
        type="checkbox"
        className="absolute top-3.5 left-3 z-1 accent-accent"
        aria-label={t.allOf(t.kinds[kind] ?? kind)}
        checked={isWhole}
        disabled={isOff}
        ref={(box) => {
          if (box) box.indeterminate = count > 0 && !isWhole;
        }}
        onChange={() => onTurn(whole)}
      />
      <details open={count > 0 && !isWhole} className="group">
        <summary className="flex min-h-10 items-center gap-2 pr-3 pl-9 hover:bg-hover">
          <span className="min-w-0 flex-1 font-medium">{t.kinds[kind] ?? kind}</span>
          <span className="tabular text-xs text-dim">{t.ofTypes(count, types.length)}</span>
          <ChevronRight size={14} aria-hidden className="text-dim transition-transform group-open:rotate-90" />
        </summary>
        <ul className="grid gap-x-4 px-3 pb-2 pl-9 sm:grid-cols-2">
          {types.map((type) => (
            <li key={type}>
              <label className="flex min-h-8 items-center gap-2">
                <input type="checkbox" className="accent-accent" checked={isWhole || events.includes(type)} disabled={isOff} onChange={() => onTurn(type)} />
                <span className="min-w-0 truncate font-mono text-[13px]">{type}</span>
              </label>
            </li>
          ))}
        </ul>
      </details>
    </li>
  );
}

/** Types that customers named themselves, for their triggers. */
function OwnTypes({ events, onChange, isOff }: { events: readonly string[]; onChange: (next: string[]) => void; isOff: boolean }) {
  const t = useTexts("webhooks");
  const [text, setText] = useState("");
  const own = events.filter((each) => each.startsWith("external.") && each !== "external.*");
  const isBad = text !== "" && !OWN.test(text);
  const add = (): void => {
    if (text === "" || isBad) return;
    if (!events.includes(text)) onChange([...events, text]);
    setText("");
  };
  return (
    <div className="mt-2">
      {own.length > 0 && (
        <ul className="mb-2 flex flex-wrap gap-2">
          {own.map((each) => (
            <li key={each} className="inline-flex h-8 items-center gap-1 rounded-control border border-line bg-sunken pl-2.5 font-mono text-[13px]">
              {each}
              {!isOff && <IconButton size="sm" icon={X} label={t.removeType(each)} onClick={() => onChange(events.filter((one) => one !== each))} />}
            </li>
          ))}
        </ul>
      )}
      {!isOff && (
        <div className="flex items-start gap-2">
          <div className="w-72 max-w-full">
            <TextField
              isBare
              label={t.ownType}
              placeholder="external.order_paid"
              maxLength={100}
              autoComplete="off"
              spellCheck={false}
              value={text}
              error={isBad ? t.ownTypeBad : undefined}
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                add();
              }}
            />
          </div>
          <Button onClick={add}>{t.addType}</Button>
        </div>
      )}
    </div>
  );
}
