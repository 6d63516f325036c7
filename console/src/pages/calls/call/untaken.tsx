/** That nobody took the caller's transfer, until somebody has called or written back, or says that it is done. */
import { PhoneMissed } from "lucide-react";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";

export default function Untaken({ onDone }: { onDone: () => void }) {
  const t = useTexts("call");
  return (
    <div role="status" className="flex flex-wrap items-center gap-2 bg-bad-soft px-4 py-3">
      <PhoneMissed size={16} aria-hidden className="shrink-0 text-bad" />
      <p className="min-w-0 flex-1">{t.untakenLead}</p>
      <Button size="sm" needs="calls:write" onClick={onDone}>
        {t.dealtWith}
      </Button>
    </div>
  );
}
