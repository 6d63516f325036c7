/** Asks before a form with changes is left. Imported by pages with forms only: it brings the dialog. */
import { useBlocker } from "@tanstack/react-router";
import { useTexts } from "@/i18n";
import { Confirm } from "./dialog";

export function Unsaved({ isDirty }: { isDirty: boolean }) {
  const t = useTexts("shell");
  const blocker = useBlocker({ shouldBlockFn: () => isDirty, enableBeforeUnload: isDirty, withResolver: true });
  return (
    <Confirm isOpen={blocker.status === "blocked"} onClose={() => blocker.reset?.()} title={t.unsaved} verb={t.discard} onConfirm={() => blocker.proceed?.()}>
      <p>{t.unsavedLead}</p>
    </Confirm>
  );
}
