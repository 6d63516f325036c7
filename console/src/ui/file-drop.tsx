/** A list in a file, dropped or chosen; looked at here, and read by whoever asked. */
import { Upload } from "lucide-react";
import { useId, useState } from "react";
import { textsOf } from "@/i18n";
import { headOf, kindOf } from "@/lib/no-list";
import { bytes } from "@/lib/format";

interface FileDropProps {
  label: string;
  hint: string;
  accept: string;
  mostBytes: number;
  /** What is wrong with the file, besides what can be seen from outside. */
  fault?: string | null | undefined;
  onFile: (file: File) => Promise<void> | void;
}

export function FileDrop({ label, hint, accept, mostBytes, fault, onFile }: FileDropProps) {
  const id = useId();
  const [isOver, setOver] = useState(false);
  const [isReading, setReading] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const take = async (file: File | undefined): Promise<void> => {
    if (!file || isReading) return;
    const kind = kindOf(await headOf(file)) ?? (file.size > mostBytes ? "tooLarge" : null);
    setRefusal(kind ? (await textsOf("forms")).noList[kind](file.name, bytes(mostBytes)) : undefined);
    if (kind) return;
    setReading(true);
    await Promise.resolve(onFile(file)).finally(() => setReading(false));
  };
  const shown = refusal ?? fault;
  return (
    <div
      className={`rounded-card border border-dashed px-4 py-6 text-center ${isOver ? "border-accent bg-accent-soft" : "border-line-strong"}`}
      aria-busy={isReading || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take(event.dataTransfer.files[0]);
      }}
    >
      <Upload size={18} aria-hidden className={`mx-auto text-dim ${isReading ? "animate-[hum-pulse_1s_infinite]" : ""}`} />
      <label htmlFor={id} className="mt-1.5 inline-block font-medium text-accent underline">
        {label}
      </label>
      <input
        id={id}
        type="file"
        accept={accept}
        className="sr-only"
        onChange={(event) => {
          void take(event.target.files?.[0]);
          event.target.value = "";
        }}
      />
      <p className="mt-0.5 text-[13px] text-dim">{hint}</p>
      {shown && (
        <p role="alert" className="mt-1 text-[13px] font-medium text-bad">
          {shown}
        </p>
      )}
    </div>
  );
}
