/** That no real carrier or model is behind what one sees, until one has read it. */
import { X } from "lucide-react";
import { useState } from "react";
import type { Me } from "@/api/me";
import { useTexts } from "@/i18n";
import { IconButton } from "@/ui/button";
import { GuideLink } from "@/ui/layout";

const KEY = "hum.practice.read";

export default function StandIns({ of }: { of: Me["stand_ins"] }) {
  const t = useTexts("banners");
  const [isRead, setRead] = useState(wasRead);
  const [carrier, model] = [of.includes("carrier"), of.includes("model")];
  if (isRead || !(carrier || model)) return null;
  return (
    <section aria-label={t.name} className="flex items-center gap-x-3 bg-info-soft px-6 py-1 text-[13px] max-md:px-4 print:hidden">
      <p className="min-w-0 flex-1">
        <b className="font-semibold">{t.name}.</b> {carrier && model ? t.both : model ? t.model : t.carrier} <GuideLink to="/guides/going-live">{t.goLive}</GuideLink>
      </p>
      <IconButton
        icon={X}
        label={t.hide}
        size="sm"
        onClick={() => {
          noteRead();
          setRead(true);
        }}
      />
    </section>
  );
}

function wasRead(): boolean {
  try {
    return sessionStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}

function noteRead(): void {
  try {
    sessionStorage.setItem(KEY, "1");
  } catch {
    // it is said again on the next page
  }
}
