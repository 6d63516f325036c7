/** That one sees some numbers and agents only, above pages that would else look empty. */
import { useTexts } from "@/i18n";

export default function Limited() {
  const t = useTexts("banners");
  return (
    <p role="note" className="border-b border-line bg-sunken px-6 py-1 text-[13px] text-dim max-md:px-4 print:hidden">
      {t.limited}
    </p>
  );
}
