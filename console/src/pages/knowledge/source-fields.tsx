/** Where a document's content comes from: files by a click or dropped, a text, an address. */
import { FileUp, X } from "lucide-react";
import { useRef, useState } from "react";
import { useTexts } from "@/i18n";
import { MOST_FILE_BYTES } from "@/lib/files";
import { bytes } from "@/lib/format";
import { IconButton } from "@/ui/button";
import { SelectField, TextArea } from "@/ui/field";
import { ACCEPTED, type Chosen, MOST_FILES, chosen } from "./source";
import type { Format } from "./queries";

export type Kind = "file" | "text" | "url";

export function KindPicker({ kind, kinds, onChange }: { kind: Kind; kinds: readonly Kind[]; onChange: (kind: Kind) => void }) {
  const t = useTexts("knowledge");
  return (
    <div role="group" aria-label={t.from} className="flex self-start rounded-control border border-line bg-surface p-0.5">
      {kinds.map((each) => (
        <button key={each} type="button" aria-pressed={each === kind} className={`h-7 flex-1 rounded-[5px] px-3 text-[13px] font-medium whitespace-nowrap max-md:h-10 ${each === kind ? "bg-accent-soft text-accent" : "text-dim hover:text-ink"}`} onClick={() => onChange(each)}>
          {t.kinds[each]}
        </button>
      ))}
    </div>
  );
}

interface FilePickerProps extends Chosen {
  /** Why a file was not taken, beside its name. */
  refused?: ReadonlyMap<File, string>;
  isMany: boolean;
  onFiles: (chosen: Chosen) => void;
}

export function FilePicker({ files, left, refused, isMany, onFiles }: FilePickerProps) {
  const t = useTexts("knowledge");
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const whyNot = (file: File): string | undefined => (isTooLarge(file) ? t.tooLarge(bytes(MOST_FILE_BYTES)) : file.size === 0 ? t.emptyFile : refused?.get(file));
  const most = isMany ? MOST_FILES : 1;
  const take = (list: FileList | null): void => onFiles(chosen([...(list ?? [])], most));
  return (
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer.files);
      }}
    >
      <input ref={input} type="file" hidden multiple={isMany} accept={ACCEPTED} aria-label={t.chooseFiles} onChange={(event) => take(event.target.files)} />
      <button type="button" className={`flex w-full flex-col items-center gap-1 rounded-card border border-dashed px-4 py-6 text-center ${isOver ? "border-accent bg-accent-soft" : "border-line-strong hover:bg-hover"}`} onClick={() => input.current?.click()}>
        <FileUp size={20} aria-hidden className="text-accent" />
        <span className="font-medium">{isMany ? t.dropMany : t.dropOne}</span>
        <span className="text-xs text-dim">{t.formatsHint(bytes(MOST_FILE_BYTES))}</span>
      </button>
      {files.length > 0 && (
        <ul className="mt-2 space-y-1">
          {files.map((file, at) => (
            <li key={at} className="text-[13px]">
              <span className="flex justify-between gap-3">
                <span className="min-w-0 truncate">{file.name}</span>
                <span className="flex shrink-0 items-center gap-1">
                  <span className="tabular text-dim">{bytes(file.size)}</span>
                  {isMany && <IconButton size="sm" icon={X} label={t.takeOut(file.name)} onClick={() => onFiles({ files: files.toSpliced(at, 1), left })} />}
                </span>
              </span>
              {whyNot(file) && (
                <span role="alert" className="block text-xs font-medium text-bad">
                  {whyNot(file)}
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
      {left > 0 && (
        <p role="alert" className="mt-2 text-xs font-medium text-bad">
          {t.leftOut(left, most)}
        </p>
      )}
    </div>
  );
}

function isTooLarge(file: File): boolean {
  return file.size > MOST_FILE_BYTES;
}

/** Whether it is sent at all: what is known to be refused is not uploaded first. */
export function isSendable(file: File): boolean {
  return file.size > 0 && !isTooLarge(file);
}

export function TextSource({ text, format, onText, onFormat, error }: { text: string; format: Format; onText: (text: string) => void; onFormat: (format: Format) => void; error: string | undefined }) {
  const t = useTexts("knowledge");
  return (
    <>
      <TextArea label={t.text} rows={9} value={text} error={error} onChange={(event) => onText(event.target.value)} />
      <SelectField label={t.format} value={format} choices={(["text", "markdown", "html", "csv"] as const).map((each) => ({ value: each, label: t.formats[each] }))} onChange={(event) => onFormat(event.target.value as Format)} />
    </>
  );
}
