import { useState } from "react";
import { useChange } from "@/api/acts";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { useNoStrayFiles } from "@/ui/stray-files";
import { toast } from "@/ui/toast";
import { type Document, type Format, replaceDocument } from "./queries";
import { type Source, chosen, formatOf } from "./source";
import { FilePicker, type Kind, KindPicker, TextSource, isSendable } from "./source-fields";

/** Another content under the same id: agents keep the old passages until the new ones are there. */
export function ReplaceContent({ document, onClose }: { document: Document; onClose: () => void }) {
  const t = useTexts("knowledge");
  const shell = useTexts("shell");
  const [kind, setKind] = useState<Kind>("file");
  const [{ files, left }, setChosen] = useState(() => chosen([], 1));
  const [file] = files;
  const [text, setText] = useState("");
  const [format, setFormat] = useState<Format>("markdown");
  const [fault, setFault] = useState<string>();
  const attempt = useAttempt();
  useNoStrayFiles();
  const source: Source | null = kind === "text" ? (text.trim() ? { kind, text, format } : null) : file && isSendable(file) ? { kind: "file", file, format: formatOf(file.name) } : null;
  const replace = useChange((of: Source) => replaceDocument(document.id, of, attempt.key([kind, text, format, file?.name, file?.size, file?.lastModified])), [["knowledge"]], {
    onDone: () => {
      toast.done(t.replaced);
      onClose();
    },
    onError: (error) => {
      const { at, rest } = byField(error, ["text", "content", "format"]);
      setFault(at.text ?? at.content ?? at.format);
      return !rest;
    },
  });
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.replaceTitle(document.name)}
      description={t.replaceLead}
      size="md"
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" needs="knowledge:write" off={source ? null : kind === "text" ? t.textFirst : t.fileFirst} busy={replace.isPending} onClick={() => source && replace.mutate(source)}>
            {t.replace}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <KindPicker kind={kind} kinds={["file", "text"]} onChange={setKind} />
        {kind === "file" ? <FilePicker files={files} left={left} isMany={false} onFiles={setChosen} /> : <TextSource text={text} format={format} onText={setText} onFormat={setFormat} error={fault} />}
        {kind === "file" && fault && (
          <p role="alert" className="text-xs font-medium text-bad">
            {fault}
          </p>
        )}
      </div>
    </Dialog>
  );
}
