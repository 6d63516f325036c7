/** A menu behind a button, for what is seldom used. The menu's 27 KB come when the button is first wanted. */
import { type LucideIcon, MoreHorizontal } from "lucide-react";
import { Suspense, useState } from "react";
import { part } from "./part";

export interface MenuItem {
  label: string;
  icon?: LucideIcon;
  onSelect: () => void;
  isDanger?: boolean;
  /** Why it is off; null when it isn't. */
  off?: string | null;
}

export interface MenuProps {
  label: string;
  items: readonly (MenuItem | null | false)[];
  icon?: LucideIcon;
}

export const MENU_BUTTON = "inline-grid size-9 place-items-center rounded-control text-dim hover:bg-hover hover:text-ink max-md:size-11";
const load = (): Promise<typeof import("./menu-base")> => import("./menu-base");
const MenuBase = part(load);

export function Menu({ label, items, icon: Icon = MoreHorizontal }: MenuProps) {
  const [isWanted, setWanted] = useState(false);
  const button = (
    <button
      type="button"
      aria-label={label}
      aria-haspopup="menu"
      aria-expanded="false"
      title={label}
      className={MENU_BUTTON}
      onPointerEnter={() => void load()}
      onFocus={() => void load()}
      onClick={() => setWanted(true)}
    >
      <Icon size={17} aria-hidden />
    </button>
  );
  if (!isWanted) return button;
  return (
    <Suspense fallback={button}>
      <MenuBase label={label} items={items} icon={Icon} />
    </Suspense>
  );
}
