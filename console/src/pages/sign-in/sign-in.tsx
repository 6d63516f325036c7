import { useSearch } from "@tanstack/react-router";
import { useTexts } from "@/i18n";

export function SignIn() {
  const t = useTexts("welcome");
  const shell = useTexts("shell");
  const { return_to: wanted } = useSearch({ from: "/sign-in" });
  return (
    <main className="grid min-h-full place-items-center p-6">
      <div className="w-full max-w-sm rounded-card border border-line bg-surface p-8 text-center shadow-card">
        <img src="/icon.svg" alt="" width={44} height={44} className="mx-auto" />
        <h1 className="mt-4 text-lg">{t.signInTitle}</h1>
        <p className="mt-1.5 text-dim">{t.signInLead}</p>
        <a href={`/auth/login?return_to=${encodeURIComponent(wanted ?? "/")}`} className="mt-6 flex h-11 w-full items-center justify-center rounded-control bg-accent font-medium text-on-accent hover:bg-accent-strong">
          {t.signIn}
        </a>
        <p className="mt-4 flex justify-center gap-4 text-[13px] text-dim">
          <a href="/guides" className="underline">
            {shell.nav.guides}
          </a>
          <a href="/docs" className="underline">
            {shell.reference}
          </a>
        </p>
      </div>
    </main>
  );
}
