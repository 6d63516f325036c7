import { Plus, X } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";
import { isDay } from "@/lib/days";
import { dayName, weekday } from "@/lib/format";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";

/** Days on which it is closed, whatever the week says. */
export function Holidays({ days, onChange }: { days: readonly string[]; onChange: (days: readonly string[]) => void }) {
  const t = useTexts("settings");
  const [day, setDay] = useState("");
  const add = (): void => {
    if (isDay(day) && !days.includes(day)) onChange([...days, day].toSorted());
    setDay("");
  };
  return (
    <div role="group" aria-label={t.holidays}>
      <p className="mb-1 text-[13px] font-medium">{t.holidays}</p>
      {days.length === 0 && <p className="text-dim">{t.noHolidays}</p>}
      <ul className="flex flex-wrap gap-1.5">
        {days.map((each) => {
          const name = `${weekday(each, "short")}, ${dayName(each, true)}`;
          return (
            <li key={each} className="inline-flex items-center gap-1 rounded-full bg-sunken py-0.5 pr-1 pl-2.5 text-[13px]">
              {name}
              <button type="button" aria-label={t.removeHoliday(name)} title={t.removeHoliday(name)} className="rounded-full p-0.5 text-dim hover:bg-hover hover:text-ink" onClick={() => onChange(days.filter((other) => other !== each))}>
                <X size={13} aria-hidden />
              </button>
            </li>
          );
        })}
      </ul>
      <div className="mt-2 flex items-center gap-2">
        <div className="w-40">
          <TextField isBare type="date" label={t.addHoliday} value={day} onChange={(event) => setDay(event.target.value)} />
        </div>
        <Button size="sm" icon={Plus} needs="team:write" off={day ? null : t.addHoliday} onClick={add}>
          {t.addHoliday}
        </Button>
      </div>
    </div>
  );
}
