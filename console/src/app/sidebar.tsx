/** The sidebar; a sheet on a phone. */
import { Link } from "@tanstack/react-router";
import { Suspense, useState } from "react";
import { useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { part } from "@/ui/part";
import { Glyph } from "./glyphs";
import { NAV, isShown } from "./nav";
import { Switcher } from "./switcher";

const NavIcon = part(() => import("./nav-icons"));
const NavCount = part(() => import("./nav-count"));
const OwnZone = part(() => import("./own-zone"));
const PersonMenu = part(() => import("./person-menu"));

const ENTRY = "relative flex h-8 items-center gap-2.5 rounded-control px-2.5 text-dim hover:bg-hover hover:text-ink max-md:h-11 md:short:h-[27px] md:max-lg:justify-center";

export function Sidebar({ isOpen, onSearch }: { isOpen: boolean; onSearch: () => void }) {
  const t = useTexts("shell");
  const me = useMe();
  return (
    <aside aria-label={t.menu} className={`w-56 shrink-0 flex-col border-r md:max-lg:w-15 border-line bg-canvas max-md:absolute max-md:inset-x-0 max-md:top-[53px] max-md:bottom-0 max-md:z-30 max-md:w-full print:hidden ${isOpen ? "flex" : "hidden md:flex"}`}>
      <Switcher />
      <div className="px-2 max-md:hidden">
        <button type="button" onClick={onSearch} title={t.search} className="flex h-8 w-full md:max-lg:justify-center items-center gap-2 rounded-control border border-line bg-surface px-2.5 text-left text-dim hover:bg-hover">
          <Glyph of="search" size={14} />
          <span className="flex-1 md:max-lg:sr-only">{t.search}</span>
          <kbd className="font-sans text-[11px] md:max-lg:hidden">Ctrl K</kbd>
        </button>
      </div>
      <nav aria-label={t.pages} className="min-h-0 flex-1 overflow-auto px-2 py-2">
        {NAV.map((group) => {
          const items = group.items.filter((item) => isShown(item, me));
          if (items.length === 0) return null;
          return (
            <div key={group.label} className="mb-3 md:short:mb-1.5 md:short:border-t md:short:border-line md:short:pt-1.5 md:short:first:border-t-0 md:max-lg:border-t md:max-lg:border-line md:max-lg:pt-2 md:max-lg:first:border-t-0">
              <h2 className="px-2.5 pb-1 text-[11px] font-semibold tracking-wide text-dim uppercase md:short:sr-only md:max-lg:sr-only">{t.navGroups[group.label]}</h2>
              <ul>
                {items.map((item) => (
                  <li key={item.to}>
                    <Link
                      to={item.to}
                      activeOptions={{ exact: item.to === "/" }}
                      title={t.nav[item.label]}
                      className={ENTRY}
                      activeProps={{ className: "bg-accent-soft! text-accent! font-medium", "aria-current": "page" }}
                    >
                      <Suspense fallback={<span className="size-4" />}>
                        <NavIcon of={item.label} />
                      </Suspense>
                      <span className="flex-1 truncate md:max-lg:sr-only">{t.nav[item.label]}</span>
                      <Suspense>
                        <NavCount of={item.label} />
                      </Suspense>
                    </Link>
                  </li>
                ))}
              </ul>
            </div>
          );
        })}
        <a href="/guides" title={t.nav.guides} className={ENTRY}>
          <Suspense fallback={<span className="size-4" />}>
            <NavIcon of="guides" />
          </Suspense>
          <span className="flex-1 truncate md:max-lg:sr-only">{t.nav.guides}</span>
        </a>
      </nav>
      <Person />
    </aside>
  );
}

function Person() {
  const t = useTexts("shell");
  const me = useMe();
  const [isOpen, setOpen] = useState(false);
  return (
    <div className="relative border-t border-line p-2 text-[13px]">
      {isOpen && (
        <Suspense>
          <PersonMenu close={() => setOpen(false)} />
        </Suspense>
      )}
      <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} className="flex w-full items-center gap-2.5 rounded-control px-2.5 py-1.5 text-left hover:bg-hover">
        <span aria-hidden className="grid size-6 place-items-center rounded-full bg-accent text-[11px] font-semibold text-on-accent">
          {(me.user?.name || me.user?.email || "?").slice(0, 1).toUpperCase()}
        </span>
        <span className="min-w-0 flex-1 md:max-lg:sr-only">
          <span className="block truncate font-medium">{me.user?.name || me.user?.email}</span>
          <span className="block truncate text-dim">
            {me.role && t.roles[me.role]}
            <Suspense>{me.organization && <OwnZone />}</Suspense>
          </span>
        </span>
        <Glyph of="upAndDown" size={14} className="text-dim md:max-lg:hidden" />
      </button>
    </div>
  );
}
