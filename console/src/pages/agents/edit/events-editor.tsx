import { Plus, X } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { TextField } from "@/ui/field";
import { isUnder } from "@/ui/schema-form/path";
import { useEventTypes } from "../queries";
import { useEditing, useField } from "./editing";
import { useIsOff } from "./plain-fields";

const TYPE = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$|^external\.\*$/;

/** The types of events that start the agent. */
export function EventsEditor() {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const [list, setList] = useField("trigger_events");
  const [text, setText] = useState("");
  const known = useEventTypes();
  const isOff = useIsOff();
  const isBad = text !== "" && !TYPE.test(text);
  const add = (): void => {
    if (text === "" || isBad) return;
    if (!list.includes(text)) setList([...list, text]);
    setText("");
  };
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{t.fields.trigger_events.label}</legend>
      <p className="mb-2 text-xs text-dim">{t.fields.trigger_events.hint}</p>
      <ul className="mb-2 flex flex-wrap gap-2">
        {list.length === 0 && <li className="text-dim">{t.events.none}</li>}
        {list.map((each, at) => {
          const refused = errors.find((one) => isUnder(one.field, `trigger_events[${at}]`))?.reason;
          return (
            <li key={each} title={refused} className={`inline-flex h-8 items-center gap-1 rounded-control border bg-sunken pl-2.5 font-mono text-[13px] ${refused ? "border-bad text-bad" : "border-line"}`}>
              {each}
              {refused && <span className="font-sans text-xs">{refused}</span>}
              {!isOff && <IconButton size="sm" icon={X} label={t.events.remove(each)} onClick={() => setList(list.filter((one) => one !== each))} />}
            </li>
          );
        })}
      </ul>
      {!isOff && (
        <div className="flex items-start gap-2">
          <div className="w-72 max-w-full">
            <TextField
              label={t.events.custom}
              isBare
              placeholder="external.order_shipped"
              list="event-types"
              value={text}
              maxLength={100}
              error={isBad ? t.events.isBad : undefined}
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                add();
              }}
            />
            <datalist id="event-types">
              {known.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </datalist>
          </div>
          <Button icon={Plus} onClick={add} off={isBad ? t.events.isBad : null}>
            {t.events.add}
          </Button>
        </div>
      )}
    </fieldset>
  );
}
