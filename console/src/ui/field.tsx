/** Fields of forms: a label, a hint, the control, and a line that is kept free for its error. */
import { type InputHTMLAttributes, type ReactNode, type Ref, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from "react";
import { useTexts } from "@/i18n";

export const CONTROL = "w-full rounded-control border border-line-strong bg-surface text-ink transition-colors hover:border-dim aria-invalid:border-bad disabled:bg-sunken disabled:text-dim max-md:text-base";

interface Around {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  /** The label is for screen readers alone. */
  isBare?: boolean;
}

interface Ids {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

/** Label, hint and error around any control. */
export function Field({ label, hint, error, isBare = false, children }: Around & { children: (ids: Ids) => ReactNode }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="min-w-0">
      <label htmlFor={id} className={isBare ? "sr-only" : "mb-1 block text-[13px] font-medium"}>
        {label}
      </label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
      {hint && !error && (
        <p id={`${id}-hint`} className="mt-1 text-xs text-dim">
          {hint}
        </p>
      )}
      {!isBare && !hint && !error && <p className="mt-1 h-4" aria-hidden />}
      {error && (
        <p id={`${id}-error`} className="mt-1 text-xs font-medium text-bad" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

type InputProps = Around & Omit<InputHTMLAttributes<HTMLInputElement>, "className"> & { ref?: Ref<HTMLInputElement> };

export function TextField({ label, hint, error, isBare, ...rest }: InputProps) {
  const t = useTexts("shell");
  const { maxLength = Number.POSITIVE_INFINITY, value = "" } = rest;
  const isFull = String(value).length >= maxLength;
  return (
    <Field {...around(label, isFull ? t.atMost(maxLength) : hint, error, isBare)}>{(ids) => <input {...rest} {...ids} className={`${CONTROL} h-9 px-2.5 max-md:h-11`} />}</Field>
  );
}

type AreaProps = Around & Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "className"> & { ref?: Ref<HTMLTextAreaElement>; isMono?: boolean };

export function TextArea({ label, hint, error, isBare, isMono = false, rows = 4, ...rest }: AreaProps) {
  return (
    <Field {...around(label, hint, error, isBare)}>
      {(ids) => <textarea rows={rows} {...rest} {...ids} className={`${CONTROL} block resize-y px-2.5 py-2 ${isMono ? "font-mono text-[13px]" : ""}`} />}
    </Field>
  );
}

export interface Choice {
  value: string;
  label: string;
  isOff?: boolean;
}

type SelectProps = Around & Omit<SelectHTMLAttributes<HTMLSelectElement>, "className"> & { choices: readonly Choice[]; ref?: Ref<HTMLSelectElement> };

/** The browser's own list: right on a phone and for every reader. */
export function SelectField({ label, hint, error, isBare, choices, ...rest }: SelectProps) {
  return (
    <Field {...around(label, hint, error, isBare)}>
      {(ids) => (
        <select {...rest} {...ids} className={`${CONTROL} h-9 px-2 pr-7 max-md:h-11`}>
          {choices.map((each) => (
            <option key={each.value} value={each.value} disabled={each.isOff}>
              {each.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

type SwitchProps = Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "type"> & { label: string; hint?: ReactNode; ref?: Ref<HTMLInputElement> };

/** On or off, at once or with the form; a checkbox to keyboards and readers. */
export function Switch({ label, hint, ...rest }: SwitchProps) {
  const id = useId();
  return (
    <div className="flex items-start gap-3 py-1.5">
      <span className="relative mt-0.5 inline-flex shrink-0">
        <input
          {...rest}
          id={id}
          type="checkbox"
          role="switch"
          aria-describedby={hint ? `${id}-hint` : undefined}
          className="peer h-5 w-9 appearance-none rounded-full border border-line-strong bg-sunken transition-colors checked:border-accent checked:bg-accent disabled:opacity-50"
        />
        <span aria-hidden className="pointer-events-none absolute top-[3px] left-[3px] size-3.5 rounded-full bg-line-strong transition-transform peer-checked:translate-x-4 peer-checked:bg-on-accent" />
      </span>
      <span>
        <label htmlFor={id} className="font-medium">
          {label}
        </label>
        {hint && (
          <span id={`${id}-hint`} className="block text-xs text-dim">
            {hint}
          </span>
        )}
      </span>
    </div>
  );
}

function around(label: string, hint: ReactNode, error: string | undefined, isBare: boolean | undefined): Around {
  return { label, hint, ...(error === undefined ? {} : { error }), isBare: isBare ?? false };
}
