import { FileText, X } from "lucide-react";
import { useRef, useState } from "react";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { bytes } from "@/lib/format";
import { IconButton } from "@/ui/button";
import { MOST_FILES } from "./drafts";
import { ACCEPTED, type Attachment, discard, fitting, refusalOf, upload } from "./uploads";

export interface Attaching {
  /** Files on their way, by a number of their own. */
  pending: readonly { at: number; name: string }[];
  faults: readonly string[];
  take: (files: readonly File[]) => Promise<void>;
  remove: (id: string) => void;
}

/** A draft's files, as they are now: a file arrives after other things have changed. */
export interface Uploads {
  get: () => readonly Attachment[];
  set: (uploads: Attachment[]) => void;
}

/** Adding files to a draft, by whichever way they come. */
export function useAttaching(draft: Uploads): Attaching {
  const t = useTexts("inbox");
  const [pending, setPending] = useState<Attaching["pending"]>([]);
  const [faults, setFaults] = useState<string[]>([]);
  const last = useRef(0);
  const takeOne = async (given: File): Promise<void> => {
    last.current += 1;
    const at = last.current;
    setPending((now) => [...now, { at, name: given.name }]);
    try {
      const file = await fitting(given);
      const refusal = refusalOf(file.size, draft.get());
      if (refusal) throw new Error(t.uploadRefusals[refusal](MOST_FILES));
      const stored = await upload(file);
      draft.set([...draft.get(), stored]);
    } catch (error) {
      const { details, message } = asApiError(error);
      // What is left for the server to find is the kind, by the bytes.
      const why = details.some((each) => each.field === "content") ? t.uploadRefusals.kind() : message;
      setFaults((now) => [...now, t.notUploaded(given.name, why)]);
    } finally {
      setPending((now) => now.filter((each) => each.at !== at));
    }
  };
  return {
    pending,
    faults,
    // One after the other: each is held against what the ones before have left.
    take: async (files) => {
      if (files.length > 0) setFaults([]);
      for (const file of files) await takeOne(file);
    },
    remove: (id) => {
      draft.set(draft.get().filter((each) => each.id !== id));
      discard(id);
    },
  };
}

/** What a draft will send besides its words. */
export function Attachments({ uploads, attaching }: { uploads: readonly Attachment[]; attaching: Attaching }) {
  const t = useTexts("inbox");
  const { pending, faults, remove } = attaching;
  return (
    <>
      {(uploads.length > 0 || pending.length > 0) && (
        <ul aria-label={t.attachments} className="mb-2 flex flex-wrap gap-2">
          {uploads.map((each) => (
            <li key={each.id} className="flex max-w-64 items-center gap-2 rounded-control border border-line bg-surface py-1 pr-1 pl-1.5 text-[13px]">
              {each.preview ? <img src={each.preview} alt="" className="size-10 rounded object-cover" /> : <FileText size={18} aria-hidden className="shrink-0 text-dim" />}
              <span className="min-w-0">
                <span className="block truncate">{each.name}</span>
                <span className="text-xs text-dim">{bytes(each.size)}</span>
              </span>
              <IconButton size="sm" label={t.removeUpload(each.name)} icon={X} onClick={() => remove(each.id)} />
            </li>
          ))}
          {pending.map((each) => (
            <li key={each.at} role="status" className="flex items-center rounded-control border border-dashed border-line-strong px-2 py-1 text-[13px] text-dim">
              {t.uploading(each.name)}
            </li>
          ))}
        </ul>
      )}
      {faults.map((fault, at) => (
        <p key={at} role="alert" className="mb-1 text-[13px] font-medium text-bad">
          {fault}
        </p>
      ))}
    </>
  );
}

/** Where files are dropped on a draft. */
export function DropZone({ onFiles, children }: { onFiles: (files: File[]) => void; children: React.ReactNode }) {
  const [isOver, setOver] = useState(false);
  return (
    <div
      className={`relative rounded-control ${isOver ? "bg-accent-soft outline-2 outline-accent" : ""}`}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        if (event.dataTransfer.files.length === 0) return;
        event.preventDefault();
        onFiles([...event.dataTransfer.files]);
      }}
    >
      {children}
    </div>
  );
}

/** The files that are pasted. Cells and formatted words come with a picture of themselves: they are pasted as words. */
export function pasted(event: React.ClipboardEvent): File[] {
  if (event.clipboardData.files.length === 0 || event.clipboardData.types.includes("text/plain")) return [];
  event.preventDefault();
  return [...event.clipboardData.files];
}

/** The hidden field behind a button that chooses files. */
export function FileChooser({ chooser, onFiles }: { chooser: React.RefObject<HTMLInputElement | null>; onFiles: (files: File[]) => void }) {
  const t = useTexts("inbox");
  return (
    <input
      ref={chooser}
      type="file"
      hidden
      multiple
      accept={ACCEPTED}
      aria-label={t.addMedia}
      onChange={(event) => {
        onFiles([...(event.target.files ?? [])]);
        event.target.value = "";
      }}
    />
  );
}
