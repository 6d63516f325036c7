/** The form of a tool; each save is a version. What somebody else saved meanwhile is shown before it is overwritten. */
import { useMemo, useState } from "react";
import { useChange } from "@/api/acts";
import { type FieldError, api, data } from "@/api/client";
import { queryClient } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Diff } from "@/ui/code/lazy";
import { Dialog } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { type Draft, type Fields, changesOf, draftOf, fieldsOf, shownOf } from "./draft";
import { ToolFields } from "./fields";
import { type Tool, askTool, useIsAdmin } from "./queries";
import { TestTool } from "./test-tool";

export function EditTool({ tool }: { tool: Tool }) {
  const t = useTexts("tools");
  const forms = useTexts("forms");
  const isAdmin = useIsAdmin();
  const [base, setBase] = useState(tool);
  const [draft, setDraft] = useState<Draft>(() => draftOf(tool));
  const [errors, setErrors] = useState<readonly FieldError[]>([]);
  const [newer, setNewer] = useState<Tool | null>(null);
  const { fields, faults } = useMemo(() => fieldsOf(draft, forms.notJson), [draft, forms]);
  const changes = useMemo(() => changesOf(fieldsOf(draftOf(base), "").fields, fields), [base, fields]);
  const isDirty = Object.keys(changes).length > 0 || faults.length > 0;
  const take = (saved: Tool): void => {
    queryClient.setQueryData(["tools", saved.id], saved);
    setBase(saved);
    setDraft(draftOf(saved));
    setErrors([]);
  };
  if (!isDirty && tool.version > base.version) {
    setBase(tool);
    setDraft(draftOf(tool));
  }
  const save = useChange((of: { changes: Partial<Fields>; isSeen: boolean }) => saveOver(base, of), [["tools"]], {
    onDone: ({ tool: now, isNewer }) => {
      if (isNewer) return setNewer(now);
      setNewer(null);
      take(now);
      toast.done(t.savedVersion(now.version));
    },
    onError: (error) => {
      setNewer(null);
      setErrors(error.details);
      return error.details.length > 0;
    },
  });
  const submit = (): void => {
    if (faults.length > 0) setErrors(faults);
    else if (isDirty && !save.isPending) save.mutate({ changes, isSeen: false });
  };
  const commands = useMemo<Command[]>(() => (isAdmin ? [{ id: "tool save", label: t.saveVersion, keys: "mod+s", run: () => document.getElementById("save-tool")?.click() }] : []), [isAdmin, t]);
  useCommands(commands);
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <form noValidate className="min-w-0" onSubmit={(event) => event.preventDefault()}>
        <ToolFields draft={draft} errors={errors} isOff={!isAdmin} onChange={(next) => setDraft({ ...draft, ...next })} />
        {isDirty && (
          <div className="sticky bottom-0 z-20 -mx-2 mt-4 flex flex-wrap items-center justify-end gap-2 rounded-t-card border border-line bg-raised px-4 py-2.5 shadow-float">
            <p className="min-w-0 flex-1 font-medium">{errors.length > 0 ? <span className="text-bad">{t.refused(errors.length)}</span> : t.unsavedChanges}</p>
            <Button
              onClick={() => {
                setDraft(draftOf(base));
                setErrors([]);
              }}
            >
              {t.revert}
            </Button>
            <Button id="save-tool" look="primary" needs="integrations:write" busy={save.isPending} onClick={submit} title="Ctrl S">
              {t.saveVersion}
            </Button>
          </div>
        )}
      </form>
      <TestTool tool={base} isDirty={isDirty} />
      <Unsaved isDirty={isDirty && !save.isPending} />
      {newer && <Newer base={base} newer={newer} isBusy={save.isPending} onClose={() => setNewer(null)} onSave={() => save.mutate({ changes, isSeen: true })} />}
    </div>
  );
}

/** The tool after saving, or as somebody else saved it since, if that was not looked at yet. */
async function saveOver(base: Tool, { changes, isSeen }: { changes: Partial<Fields>; isSeen: boolean }): Promise<{ tool: Tool; isNewer: boolean }> {
  if (!isSeen) {
    const now = await askTool(base.id);
    if (now.version !== base.version) return { tool: now, isNewer: true };
  }
  return { tool: await data(api.PATCH("/api/tools/{id}", { params: { path: { id: base.id } }, body: changes })), isNewer: false };
}

function Newer({ base, newer, isBusy, onClose, onSave }: { base: Tool; newer: Tool; isBusy: boolean; onClose: () => void; onSave: () => void }) {
  const t = useTexts("tools");
  return (
    <Dialog
      isOpen
      size="lg"
      onClose={onClose}
      title={t.newerTitle(newer.version)}
      description={t.newerLead}
      actions={
        <>
          <Button onClick={onClose}>{t.keepEditing}</Button>
          <Button look="primary" needs="integrations:write" busy={isBusy} onClick={onSave}>
            {t.saveOver}
          </Button>
        </>
      }
    >
      <Diff isJson before={shownOf(base)} after={shownOf(newer)} beforeLabel={t.versionN(base.version)} afterLabel={t.versionN(newer.version)} />
    </Dialog>
  );
}
