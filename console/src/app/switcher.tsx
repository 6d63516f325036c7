/** Which organization one works in: a list by keyboard as by pointer. */
import { Suspense, useState } from "react";
import { useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { part } from "@/ui/part";
import { Glyph } from "./glyphs";

const OrganizationList = part(() => import("./organization-list"));

export function Switcher() {
  const t = useTexts("shell");
  const me = useMe();
  const name = me.organization?.name ?? "HUM";
  const [isOpen, setOpen] = useState(false);
  const label = (
    <>
      <img src="/icon.svg" alt="" width={24} height={24} />
      <span className="line-clamp-2 min-w-0 flex-1 text-left leading-5 font-semibold md:max-lg:sr-only">{name}</span>
    </>
  );
  if (me.organizations.length < 2) return <div className="flex items-center gap-2.5 px-4.5 py-4 md:short:py-2.5">{label}</div>;
  return (
    <div className="relative px-2 py-2.5 md:short:py-1">
      <button type="button" aria-expanded={isOpen} aria-label={`${t.organization}: ${name}`} onClick={() => setOpen(!isOpen)} className="flex w-full items-center gap-2.5 rounded-control px-2.5 py-1.5 hover:bg-hover">
        {label}
        <Glyph of="upAndDown" size={14} className="text-dim md:max-lg:hidden" />
      </button>
      {isOpen && (
        <Suspense>
          <OrganizationList close={() => setOpen(false)} />
        </Suspense>
      )}
    </div>
  );
}
