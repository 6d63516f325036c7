import { useState } from "react";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Diff } from "@/ui/code/lazy";
import { Dialog } from "@/ui/dialog";
import { Time } from "@/ui/layout";
import { type FieldName, draftOf, shown } from "../flow";
import { type Conflict, useEditing } from "./editing";

/** What somebody else has saved beside what one is about to save, field by field. */
export default function ConflictDialog() {
  const { conflict } = useEditing();
  return conflict && <Settling key={conflict.saved.version} conflict={conflict} />;
}

function Settling({ conflict }: { conflict: Conflict }) {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  const { settle, leaveConflict, base } = useEditing();
  const [taken, setTaken] = useState<ReadonlyMap<FieldName, "mine" | "theirs">>(new Map());
  const theirs = draftOf(conflict.saved);
  const open = conflict.conflicts.filter((name) => !taken.has(name)).length;
  const finish = (): void => {
    const chosen = Object.fromEntries([...taken].filter(([, whose]) => whose === "theirs").map(([name]) => [name, theirs[name]]));
    settle({ ...conflict.draft, ...chosen });
  };
  return (
    <Dialog
      isOpen
      size="lg"
      onClose={leaveConflict}
      title={t.conflictTitle(conflict.saved.version)}
      description={
        <>
          {t.conflictLead} <Time at={conflict.saved.updated_at} />.
        </>
      }
      actions={
        <>
          <Button onClick={leaveConflict}>{t.keepEditing}</Button>
          <Button look="primary" needs="flows:write" off={open > 0 ? t.chooseFirst(open) : null} onClick={finish}>
            {conflict.isSaving ? t.saveTogether : t.goOnTogether}
          </Button>
        </>
      }
    >
      <div className="space-y-5">
        {conflict.conflicts.map((name) => (
          <section key={name} className="space-y-2">
            <div className="flex flex-wrap items-center gap-2">
              <h3 className="flex-1">{form.fields[name].label}</h3>
              {(["theirs", "mine"] as const).map((whose) => (
                <Button key={whose} size="sm" look={taken.get(name) === whose ? "primary" : "plain"} aria-pressed={taken.get(name) === whose} onClick={() => setTaken(new Map(taken).set(name, whose))}>
                  {whose === "mine" ? t.takeMine : t.takeTheirs}
                </Button>
              ))}
            </div>
            <Diff before={shown(theirs[name])} after={shown(conflict.draft[name])} beforeLabel={t.theirs} afterLabel={t.mine} />
          </section>
        ))}
        {conflict.theirs.length > 0 && (
          <section className="space-y-3">
            <h3>{t.theyAlso}</h3>
            {conflict.theirs.map((name) => (
              <div key={name} className="space-y-1">
                <p className="text-[13px] font-medium">{form.fields[name].label}</p>
                <Diff before={shown(draftOf(base)[name])} after={shown(theirs[name])} beforeLabel={t.versionN(base.version)} afterLabel={t.versionN(conflict.saved.version)} />
              </div>
            ))}
          </section>
        )}
      </div>
    </Dialog>
  );
}
