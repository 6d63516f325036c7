/** The frame around every page: where one can go, who one is, whether what one sees is live. */
import { Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Suspense, useMemo, useState } from "react";
import { useMe } from "@/api/me";
import { loadTexts, useTexts } from "@/i18n";
import { part } from "@/ui/part";
import { Glyph } from "./glyphs";
import { type Command, useCommands, useShortcuts } from "./commands";
import { NAV, isShown } from "./nav";
import { Sidebar } from "./sidebar";
import { chooseTheme, useIsDark } from "./theme";

// The first page doesn't wait for these.
const Banners = part(async () => (await Promise.all([import("./banners"), loadTexts("banners")]))[0]);
const Palette = part(() => import("./palette"));
const Toasts = part(() => import("@/ui/toasts"));

export function Shell() {
  const t = useTexts("shell");
  const { organization } = useMe();
  const [palette, setPalette] = useState<"commands" | "keys" | null>(null);
  const [isNavOpen, setNavOpen] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  useShortcuts();
  useShellCommands(setPalette);
  const [shownPath, setShownPath] = useState(path);
  if (shownPath !== path) {
    setShownPath(path);
    setNavOpen(false);
  }
  return (
    <div className="flex h-full max-md:flex-col print:block">
      <a href="#main" className="skip">
        {t.skip}
      </a>
      <header className="flex items-center gap-2 border-b border-line bg-surface px-2 py-1 md:hidden print:hidden">
        <button type="button" aria-label={isNavOpen ? t.close : t.menu} aria-expanded={isNavOpen} className="grid size-11 place-items-center rounded-control" onClick={() => setNavOpen(!isNavOpen)}>
          {isNavOpen ? <Glyph of="close" size={20} /> : <Glyph of="menu" size={20} />}
        </button>
        <span className="min-w-0 flex-1 truncate font-semibold">{organization?.name ?? "HUM"}</span>
        <button type="button" aria-label={t.palette} className="grid size-11 place-items-center rounded-control" onClick={() => setPalette("commands")}>
          <Glyph of="search" size={19} />
        </button>
      </header>
      <Sidebar isOpen={isNavOpen} onSearch={() => setPalette("commands")} />
      <div className="flex min-h-0 min-w-0 flex-1 flex-col print:block">
        <Suspense>{organization && <Banners />}</Suspense>
        <main id="main" tabIndex={-1} className="relative min-h-0 flex-1 overflow-auto print:overflow-visible">
          <Outlet />
        </main>
      </div>
      {palette && (
        <Suspense>
          <Palette mode={palette} onClose={() => setPalette(null)} />
        </Suspense>
      )}
      <Suspense>
        <Toasts />
      </Suspense>
    </div>
  );
}

function useShellCommands(setPalette: (mode: "commands" | "keys") => void): void {
  const t = useTexts("shell");
  const me = useMe();
  const isDark = useIsDark();
  const navigate = useNavigate();
  const list = useMemo<Command[]>(() => {
    const pages = NAV.flatMap((group) => group.items)
      .filter((item) => isShown(item, me))
      .map((item) => ({
        id: `go ${item.to}`,
        label: t.nav[item.label],
        group: t.goTo,
        ...(item.key ? { keys: `g ${item.key}` } : {}),
        run: () => void navigate({ to: item.to }),
      }));
    return [
      { id: "palette", label: t.palette, keys: "mod+k", run: () => setPalette("commands") },
      { id: "keys", label: t.shortcuts, keys: "?", run: () => setPalette("keys") },
      ...pages,
      { id: "theme", label: isDark ? t.useLight : t.useDark, run: () => chooseTheme(isDark ? "light" : "dark") },
      { id: "guides", label: t.nav.guides, group: t.goTo, run: () => location.assign("/guides") },
      { id: "docs", label: t.reference, group: t.goTo, run: () => location.assign("/docs") },
    ];
  }, [t, me, isDark, navigate, setPalette]);
  useCommands(list);
}
