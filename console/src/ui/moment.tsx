/** A date and an hour on the organization's clocks. */
import type { ReactNode } from "react";
import { useState } from "react";
import { useZone } from "@/api/me";
import { instantOf, wallClock } from "@/lib/zoned";
import { TextField } from "./field";

export interface MomentFieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  value: Date | null;
  onChange: (at: Date | null) => void;
}

/** The browser's own picker; what is typed is kept as typed, also while it is no time yet. */
export function MomentField({ label, hint, error, value, onChange }: MomentFieldProps) {
  const zone = useZone();
  const [text, setText] = useState(value ? wallClock(value, zone) : "");
  return (
    <TextField
      type="datetime-local"
      label={label}
      hint={hint}
      error={error}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        onChange(instantOf(event.target.value, zone));
      }}
    />
  );
}
