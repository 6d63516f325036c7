import { useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { GuideLink } from "@/ui/layout";

/** What the stand-in for the model can do, so that nobody judges an agent by it. */
export function Practice() {
  const t = useTexts("banners");
  const { stand_ins: standIns } = useMe();
  if (!standIns.includes("model")) return null;
  return (
    <details className="rounded-card border border-line bg-info-soft px-4 py-2.5 text-[13px]">
      <summary className="cursor-pointer font-medium">{t.tryLead}</summary>
      <ul className="mt-1.5 list-disc space-y-0.5 pl-5">
        {t.tryWays.map((way) => (
          <li key={way}>{way}</li>
        ))}
      </ul>
      <p className="mt-1.5">
        {t.tryReal} <GuideLink to="/guides/going-live">{t.goLive}</GuideLink>
      </p>
    </details>
  );
}
