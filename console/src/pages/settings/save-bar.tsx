/** The end of a form: save, off while nothing was changed. */
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Unsaved } from "@/ui/unsaved";

export function SaveBar({ isDirty, isBusy }: { isDirty: boolean; isBusy: boolean }) {
  const t = useTexts("settings");
  return (
    <div className="mt-4">
      <Button look="primary" type="submit" needs="team:write" busy={isBusy} off={isDirty ? null : t.unchanged}>
        {t.save}
      </Button>
      <Unsaved isDirty={isDirty && !isBusy} />
    </div>
  );
}
