/** A time zone, found by typing a part of its name. */
import { type InputHTMLAttributes, type Ref, useId, useMemo } from "react";
import { TextField } from "./field";

type Props = Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "list"> & { label: string; hint?: string; error?: string | undefined; ref?: Ref<HTMLInputElement> };

export function ZoneField(props: Props) {
  const id = useId();
  const zones = useMemo(() => ["UTC", ...Intl.supportedValuesOf("timeZone")], []);
  return (
    <>
      <TextField {...props} list={id} autoComplete="off" spellCheck={false} />
      <datalist id={id}>
        {zones.map((zone) => (
          <option key={zone} value={zone}>
            {zone.replaceAll("_", " ")}
          </option>
        ))}
      </datalist>
    </>
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
