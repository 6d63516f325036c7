/** The menu itself; `menu.tsx` loads it when its button is first wanted. */
import { CSPProvider } from "@base-ui/react/csp-provider";
import { Menu as Base } from "@base-ui/react/menu";
import { nonce } from "@/lib/nonce";
import { MENU_BUTTON, type MenuProps } from "./menu";

export default function MenuBase({ label, items, icon: Icon }: Required<MenuProps>) {
  return (
    <CSPProvider nonce={nonce()}>
      <Base.Root defaultOpen>
        <Base.Trigger aria-label={label} title={label} className={MENU_BUTTON}>
          <Icon size={17} aria-hidden />
        </Base.Trigger>
        <Base.Portal>
          <Base.Positioner sideOffset={4} align="end" className="z-40">
            <Base.Popup className="min-w-44 rounded-card border border-line bg-raised p-1 shadow-float outline-none">
              {items.map(
                (item) =>
                  item && (
                    <Base.Item
                      key={item.label}
                      disabled={Boolean(item.off)}
                      title={item.off ?? undefined}
                      onClick={item.onSelect}
                      className={`flex items-center gap-2 rounded-control px-2.5 py-1.5 select-none data-[disabled]:opacity-50 data-[highlighted]:bg-hover ${item.isDanger ? "text-bad" : ""}`}
                    >
                      {item.icon && <item.icon size={15} aria-hidden />}
                      {item.label}
                    </Base.Item>
                  ),
              )}
            </Base.Popup>
          </Base.Positioner>
        </Base.Portal>
      </Base.Root>
    </CSPProvider>
  );
}
