/** What stands around an agent's tabs while it is edited: what isn't saved, and what others have saved. */
import { useBlocker } from "@tanstack/react-router";
import { ownKey, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Time } from "@/ui/layout";
import { useState } from "react";
import { dropDraft, isStale } from "./drafts";
import { useEditing } from "./editing";
import { draftOf, namesOf } from "../flow";

/** At the foot of the page while there is something to save. */
export function SaveBar() {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  const { isDirty, changes, save, discard, isSaving, draft, errors } = useEditing();
  const [isAsking, setAsking] = useState(false);
  if (!isDirty) return null;
  const names = namesOf(changes);
  return (
    <div role="region" aria-label={t.unsaved(names.length)} className="sticky bottom-0 z-20 flex flex-wrap items-center gap-3 border-t border-line bg-raised px-6 py-2.5 shadow-float max-md:px-4">
      <p className="min-w-0 flex-1 truncate" title={names.map((name) => form.fields[name].label).join(", ")}>
        <strong className="font-medium">{t.unsaved(names.length)}</strong>
        <span className="ml-2 text-dim max-md:hidden">{names.map((name) => form.fields[name].label).join(", ")}</span>
      </p>
      {errors.length > 0 && <span className="text-[13px] font-medium text-bad">{t.refusedFields(errors.length)}</span>}
      <Button onClick={() => setAsking(true)}>{t.discard}</Button>
      <Button look="primary" needs="flows:write" busy={isSaving} off={draft.name ? null : t.nameFirst} onClick={save} title="Ctrl S">
        {t.saveVersion}
      </Button>
      <Dialog
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        title={t.discardTitle}
        actions={
          <>
            <Button onClick={() => setAsking(false)}>{t.keepEditing}</Button>
            <Button
              look="danger"
              onClick={() => {
                discard();
                setAsking(false);
              }}
            >
              {t.discard}
            </Button>
          </>
        }
      >
        {t.discardLead}
      </Dialog>
    </div>
  );
}

/** A draft from before, and a version that somebody else saved meanwhile. */
export function Notices() {
  const t = useTexts("agents");
  const { stored, restore, forget, newer, isDirty, compare, base } = useEditing();
  return (
    <>
      {stored && (
        <Notice>
          <p className="min-w-0 flex-1">
            {t.draftFrom(namesOf(stored.changes).length)} <Time at={stored.savedAt} />. {isStale(stored, draftOf(base)) && t.draftStale}
          </p>
          <Button size="sm" look="primary" onClick={restore}>
            {t.restoreDraft}
          </Button>
          <Button size="sm" onClick={forget}>
            {t.discard}
          </Button>
        </Notice>
      )}
      {newer && isDirty && (
        <Notice>
          <p className="min-w-0 flex-1">{t.newerVersion(newer.version)}</p>
          <Button size="sm" look="primary" onClick={compare}>
            {t.bringTogether}
          </Button>
        </Notice>
      )}
    </>
  );
}

function Notice({ children }: { children: React.ReactNode }) {
  return (
    <div role="status" className="flex flex-wrap items-center gap-2 border-b border-line bg-warn-soft px-6 py-2 text-[13px] text-ink max-md:px-4">
      {children}
    </div>
  );
}

/** Asks before one leaves the agent with changes; between its tabs one goes freely. */
export function LeaveGuard() {
  const t = useTexts("agents");
  const { isDirty, base, save, isSaving } = useEditing();
  const draftKey = ownKey(useMe(), base.id);
  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => isDirty && next.pathname !== current.pathname,
    enableBeforeUnload: () => isDirty,
    withResolver: true,
  });
  if (blocker.status !== "blocked") return null;
  return (
    <Dialog
      isOpen
      onClose={() => blocker.reset()}
      title={t.leaveTitle}
      actions={
        <>
          <Button
            look="danger"
            onClick={() => {
              blocker.proceed();
              setTimeout(() => dropDraft(draftKey), 0);
            }}
          >
            {t.discard}
          </Button>
          <Button onClick={() => blocker.proceed()}>{t.leaveKeep}</Button>
          <Button
            look="primary"
            needs="flows:write"
            busy={isSaving}
            onClick={() => {
              blocker.reset();
              save();
            }}
          >
            {t.stayAndSave}
          </Button>
        </>
      }
    >
      {t.leaveLead}
    </Dialog>
  );
}
