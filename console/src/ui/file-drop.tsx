/** A text file, dropped or chosen; read here, sent by whoever asked. */
import { Upload } from "lucide-react";
import { useId, useState } from "react";

export function FileDrop({ label, hint, accept, onText }: { label: string; hint: string; accept: string; onText: (text: string, name: string) => void }) {
  const id = useId();
  const [isOver, setOver] = useState(false);
  const take = (file: File | undefined): void => {
    if (file) void file.text().then((text) => onText(text, file.name));
  };
  return (
    <div
      className={`rounded-card border border-dashed px-4 py-6 text-center ${isOver ? "border-accent bg-accent-soft" : "border-line-strong"}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer.files[0]);
      }}
    >
      <Upload size={18} aria-hidden className="mx-auto text-dim" />
      <label htmlFor={id} className="mt-1.5 inline-block font-medium text-accent underline">
        {label}
      </label>
      <input
        id={id}
        type="file"
        accept={accept}
        className="sr-only"
        onChange={(event) => {
          take(event.target.files?.[0]);
          event.target.value = "";
        }}
      />
      <p className="mt-0.5 text-[13px] text-dim">{hint}</p>
    </div>
  );
}
