/** What one may choose for oneself: theme, language, one's account, the way out. Loaded when it is opened. */
import { Link } from "@tanstack/react-router";
import { LogOut } from "lucide-react";
import { useRef } from "react";
import { useZone } from "@/api/me";
import { LANGUAGES, type Language, chooseLanguage, currentLanguage, useTexts } from "@/i18n";
import { zoneName } from "@/lib/format";
import { useLeaving } from "./leaving";
import { SignOut } from "./sign-out";
import { THEMES, type Theme, chooseTheme, useTheme } from "./theme";

export default function PersonMenu({ close }: { close: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useLeaving(box, close);
  const t = useTexts("shell");
  const theme = useTheme();
  const zone = useZone();
  return (
    <div ref={box} className="space-y-2 px-2.5 pt-1 pb-2.5 md:absolute md:bottom-full md:left-2 md:z-30 md:mb-1 md:w-60 md:rounded-card md:border md:border-line md:bg-raised md:p-3 md:shadow-float">
      <Choice label={t.theme} value={theme} choices={THEMES.map((each) => [each, t.themes[each]])} onChange={(value) => chooseTheme(value as Theme)} />
      <Choice label={t.language} value={currentLanguage()} choices={Object.entries(LANGUAGES)} onChange={(value) => void chooseLanguage(value as Language)} />
      <p className="flex justify-between text-dim">
        <span>{t.timeZone}</span>
        <span className="text-right">{zone.replaceAll("_", " ")} ({zoneName(zone)})</span>
      </p>
      <Link to="/me" onClick={close} className="block py-1 hover:underline">
        {t.yourAccount}
      </Link>
      <a href="/guides" className="block py-1 hover:underline">
        {t.nav.guides}
      </a>
      <a href="/docs" className="block py-1 hover:underline">
        {t.reference}
      </a>
      <SignOut>
        <button type="submit" className="flex items-center gap-2 py-1 hover:underline">
          <LogOut size={14} aria-hidden />
          {t.signOut}
        </button>
      </SignOut>
    </div>
  );
}

function Choice({ label, value, choices, onChange }: { label: string; value: string; choices: readonly (readonly [string, string])[]; onChange: (value: string) => void }) {
  return (
    <label className="flex items-center justify-between gap-3 text-dim">
      {label}
      <select className="rounded-control border border-line bg-surface px-1.5 py-0.5 text-ink" value={value} onChange={(event) => onChange(event.target.value)}>
        {choices.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
