/** A time zone, found by its city, a larger one near it, its state or country, or a part of its name. */
import { type KeyboardEvent, useId, useMemo, useRef, useState } from "react";
import { useTexts } from "@/i18n";
import { zoneName } from "@/lib/format";
import { CONTROL, Field } from "./field";
import { allZones, zoneOfText, zonesFor } from "./zones";

export interface ZoneFieldProps {
  label: string;
  hint?: string;
  error?: string | undefined;
  value: string;
  placeholder?: string;
  disabled?: boolean;
  /** A zone's name; or what was typed and is none, nothing included. */
  onChange: (zone: string) => void;
}

const MOST_SHOWN = 50;

export function ZoneField({ label, hint, error, value, placeholder, disabled = false, onChange }: ZoneFieldProps) {
  const t = useTexts("shell");
  const listId = useId();
  const list = useRef<HTMLUListElement>(null);
  const zones = useMemo(() => allZones(), []);
  const [typed, setTyped] = useState<string>();
  const [chosen, setChosen] = useState(0);
  const isOpen = typed !== undefined;
  const found = useMemo(() => (isOpen ? zonesFor(typed, zones).slice(0, MOST_SHOWN) : []), [isOpen, typed, zones]);
  const type = (text: string): void => {
    setTyped(text);
    setChosen(0);
    onChange(zoneOfText(text, zones) ?? text);
  };
  const take = (zone: string): void => {
    onChange(zone);
    setTyped(undefined);
  };
  const go = (at: number): void => {
    const next = Math.max(0, Math.min(found.length - 1, at));
    setChosen(next);
    list.current?.children[next]?.scrollIntoView({ block: "nearest" });
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (isOpen) go(chosen + (event.key === "ArrowDown" ? 1 : -1));
      else setTyped("");
    } else if (event.key === "Enter" && isOpen && typed.trim() && found[chosen]) take(found[chosen].zone);
    else if (event.key === "Escape" && isOpen) setTyped(undefined);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <Field label={label} error={error} {...(hint === undefined ? {} : { hint })}>
      {(ids) => (
        <div className="relative">
          <input
            {...ids}
            role="combobox"
            aria-expanded={isOpen && found.length > 0}
            aria-controls={listId}
            aria-autocomplete="list"
            aria-activedescendant={found[chosen] ? `${listId}-${chosen}` : undefined}
            autoComplete="off"
            spellCheck={false}
            placeholder={placeholder}
            disabled={disabled}
            className={`${CONTROL} h-9 px-2.5 max-md:h-11`}
            value={typed ?? value.replaceAll("_", " ")}
            onChange={(event) => type(event.target.value)}
            onKeyDown={press}
            onBlur={() => setTyped(undefined)}
          />
          <ul ref={list} id={listId} role="listbox" aria-label={label} hidden={found.length === 0} className="absolute inset-x-0 top-full z-30 mt-1 max-h-64 overflow-auto rounded-control border border-line bg-raised p-1 shadow-float">
            {found.map(({ zone, place }, at) => (
              // The field keeps the focus and takes the keys; the pointer may choose too.
              // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
              <li
                key={zone}
                id={`${listId}-${at}`}
                role="option"
                aria-selected={at === chosen}
                className="flex items-baseline gap-2 rounded-control px-2 py-1.5 aria-selected:bg-hover"
                onPointerMove={() => setChosen(at)}
                onPointerDown={(event) => event.preventDefault()}
                onClick={() => take(zone)}
              >
                <span className="min-w-0 flex-1 truncate">
                  {place ?? zone.split("/").at(-1)?.replaceAll("_", " ")} <span className="text-xs text-dim">{zone.replaceAll("_", " ")}</span>
                </span>
                <span className="text-xs text-dim">{zoneName(zone)}</span>
              </li>
            ))}
          </ul>
          {isOpen && found.length === 0 && <p className="sr-only" role="status">{t.nothingFound}</p>}
        </div>
      )}
    </Field>
  );
}

/** Whether the browser knows the zone; the server decides in the end. */
export function isZone(name: string): boolean {
  try {
    return name !== "" && Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
