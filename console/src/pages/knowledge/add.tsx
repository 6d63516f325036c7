/** New documents: files, a text or an address. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type ApiError, idempotencyKey } from "@/api/client";
import { asApiError, queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { useNoStrayFiles } from "@/ui/stray-files";
import { toast } from "@/ui/toast";
import { type Document, type Format, addDocument } from "./queries";
import { MOST_FILES, type Source, chosen, formatOf, titleOf, titleOfUrl, titlesOf } from "./source";
import { FilePicker, type Kind, KindPicker, TextSource, isSendable } from "./source-fields";

const FIELDS = ["name", "language", "text", "url", "refetch_hours", "content", "format"] as const;
type Faults = Partial<Record<(typeof FIELDS)[number], string>>;
const HOURS = [0, 1, 6, 24, 168, 720];

export function AddDocument({ dropped, onClose }: { dropped: File[]; onClose: () => void }) {
  const t = useTexts("knowledge");
  const shell = useTexts("shell");
  const [kind, setKind] = useState<Kind>("file");
  const [{ files, left }, setChosen] = useState(() => chosen(dropped, MOST_FILES));
  const [text, setText] = useState("");
  const [format, setFormat] = useState<Format>("markdown");
  const [url, setUrl] = useState("");
  const [refetchHours, setRefetchHours] = useState(24);
  const [name, setName] = useState("");
  const [language, setLanguage] = useState("");
  const [faults, setFaults] = useState<Faults>({});
  const [refused, setRefused] = useState<ReadonlyMap<File, string>>(new Map());
  const attempt = useAttempt();
  useNoStrayFiles();
  const isMany = kind === "file" && files.length > 1;
  const named = name.trim() || (kind === "url" ? titleOfUrl(url.trim()) : kind === "file" && files[0] ? titleOf(files[0].name) : "");
  const source: Source | null = kind === "url" ? { kind, url: url.trim(), refetchHours } : kind === "text" ? { kind, text, format } : files[0] ? { kind, file: files[0], format: formatOf(files[0].name) } : null;
  const add = useChange((): Promise<Document | Sent[]> => (isMany ? addAll(files, language.trim()) : addDocument({ name: named, language: language.trim(), source: source as Source, key: attempt.key([named, language, kind, text, url, refetchHours, files[0]?.name, files[0]?.size, files[0]?.lastModified]) })), [["knowledge"]], {
    onDone: (made) => {
      if (!Array.isArray(made)) {
        toast.done(t.added(made.name));
        return onClose();
      }
      const unsent = made.filter((each) => each.refusal !== null);
      if (unsent.length < made.length) toast.done(t.addedMany(made.length - unsent.length));
      if (unsent.length === 0) return onClose();
      setChosen({ files: unsent.map((each) => each.file), left });
      return setRefused(new Map(unsent.map((each) => [each.file, each.refusal ? whyOf(each.refusal) : ""])));
    },
    onError: (error) => {
      const { at, rest } = byField(error, FIELDS);
      setFaults(at);
      return !rest;
    },
  });
  const off = kind === "file" ? (files.length === 0 ? t.fileFirst : files.every(isSendable) ? null : t.fitFirst) : kind === "text" ? (!text.trim() ? t.textFirst : !named ? t.nameFirst : null) : !url.trim() ? t.urlFirst : null;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.addTitle}
      size="md"
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="add-document" needs="knowledge:write" off={off} busy={add.isPending}>
            {isMany ? t.addMany(files.length) : t.add}
          </Button>
        </>
      }
    >
      <form
        id="add-document"
        noValidate
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!off && !add.isPending) add.mutate(undefined);
        }}
      >
        <KindPicker kind={kind} kinds={["file", "text", "url"]} onChange={setKind} />
        {kind === "file" && <FilePicker files={files} left={left} refused={refused} isMany onFiles={setChosen} />}
        {kind === "file" && faults.content && <p role="alert" className="text-xs font-medium text-bad">{faults.content}</p>}
        {kind === "text" && <TextSource text={text} format={format} onText={setText} onFormat={setFormat} error={faults.text} />}
        {kind === "url" && (
          <>
            <TextField label={t.url} type="url" placeholder="https://example.com/faq" hint={t.urlHint} error={faults.url} maxLength={2048} value={url} onChange={(event) => setUrl(event.target.value)} />
            <SelectField label={t.refetch} error={faults.refetch_hours} value={String(refetchHours)} choices={HOURS.map((each) => ({ value: String(each), label: t.everyHours(each) }))} onChange={(event) => setRefetchHours(Number(event.target.value))} />
          </>
        )}
        <div className="grid gap-x-3 sm:grid-cols-[2fr_1fr]">
          {!isMany && <TextField label={t.name} hint={t.nameHint} error={faults.name} maxLength={120} placeholder={named} value={name} onChange={(event) => setName(event.target.value)} />}
          <TextField label={t.language} hint={t.languageHint} error={faults.language} maxLength={35} placeholder="en" value={language} onChange={(event) => setLanguage(event.target.value)} />
        </div>
      </form>
    </Dialog>
  );
}

/** A refusal in one line; of a file, only the reason says something. */
function whyOf({ message, details }: ApiError): string {
  return details.length > 0 ? details.map((each) => each.reason).join("; ") : message;
}

interface Sent {
  file: File;
  refusal: ApiError | null;
}

/** One after the other; a refusal of one doesn't keep the others. */
async function addAll(files: readonly File[], language: string): Promise<Sent[]> {
  const made: Sent[] = [];
  const titles = titlesOf(files.map((each) => each.name));
  for (const [at, file] of files.entries()) {
    try {
      await addDocument({ name: titles[at] ?? file.name, language, source: { kind: "file", file, format: formatOf(file.name) }, key: keyOf(file) });
      made.push({ file, refusal: null });
      void queryClient.invalidateQueries({ queryKey: ["knowledge", "list"] });
    } catch (error) {
      made.push({ file, refusal: asApiError(error) });
    }
  }
  return made;
}

const keys = new WeakMap<File, string>();

/** A file that is sent again is the same attempt. */
function keyOf(file: File): string {
  const key = keys.get(file) ?? idempotencyKey();
  keys.set(file, key);
  return key;
}
