/** Buttons and links that look like them. One that the role may not use is off and says why. */
import { Link, type LinkProps } from "@tanstack/react-router";
import type { LucideIcon } from "lucide-react";
import type { ButtonHTMLAttributes, MouseEvent, ReactNode } from "react";
import { type Permission, can, useMe } from "@/api/me";
import { useTexts } from "@/i18n";

type Look = "primary" | "plain" | "quiet" | "danger";
type Size = "md" | "sm";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent",
  plain: "bg-surface text-ink border-line hover:bg-hover",
  quiet: "bg-transparent text-ink border-transparent hover:bg-hover",
  danger: "bg-surface text-bad border-line hover:bg-bad-soft hover:border-bad",
};
const SIZES: Record<Size, string> = { md: "h-9 px-3 gap-2 max-md:h-11", sm: "h-7 px-2 gap-1.5 text-[13px] max-md:h-9" };
const ALWAYS = "inline-flex shrink-0 items-center justify-center rounded-control border font-medium whitespace-nowrap select-none transition-colors duration-100 aria-disabled:opacity-55 disabled:opacity-55 aria-disabled:cursor-not-allowed disabled:cursor-not-allowed";

export function buttonClass(look: Look = "plain", size: Size = "md"): string {
  return `${ALWAYS} ${LOOKS[look]} ${SIZES[size]}`;
}

export interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "className"> {
  look?: Look;
  size?: Size;
  icon?: LucideIcon;
  /** What a person needs to use it. */
  needs?: Permission;
  /** Why it is off now, for everybody; null when it isn't. */
  off?: string | null | undefined;
  /** Whether its action is under way. */
  busy?: boolean;
  children?: ReactNode;
}

/** Whether a click is the second of a double click: what acts has acted, and may be another button by now, such as the way back. */
function isSecond(event: MouseEvent): boolean {
  return event.detail > 1;
}

export function Button({ look = "plain", size = "md", icon: Icon, needs, off, busy = false, children, onClick, type = "button", title, ...rest }: ButtonProps) {
  const why = useWhyOff(needs, off);
  const isOff = busy || why !== undefined;
  const isAct = needs !== undefined;
  return (
    <button
      {...rest}
      type={type}
      className={buttonClass(look, size)}
      aria-disabled={isOff || undefined}
      aria-busy={busy || undefined}
      title={why ?? title}
      onClick={(event) => {
        if (isOff || (isAct && isSecond(event))) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {Icon && <Icon size={size === "sm" ? 14 : 16} aria-hidden className={busy ? "animate-[hum-pulse_1s_infinite]" : ""} />}
      {children}
    </button>
  );
}

/** A button that is only a picture; `label` is what it is called. */
export function IconButton({ label, icon: Icon, needs, off, size = "md", onClick, title, pressed, ...rest }: Omit<ButtonProps, "children" | "look" | "busy"> & { label: string; icon: LucideIcon; pressed?: boolean }) {
  const why = useWhyOff(needs, off);
  const box = size === "sm" ? "size-7 max-md:size-9" : "size-9 max-md:size-11";
  return (
    <button
      {...rest}
      type="button"
      aria-label={label}
      aria-pressed={pressed}
      aria-disabled={why !== undefined || undefined}
      title={why ?? title ?? label}
      className={`${ALWAYS} ${box} border-transparent ${pressed ? "bg-accent-soft text-accent" : "text-dim hover:bg-hover hover:text-ink"}`}
      onClick={(event) => (why !== undefined || (needs && isSecond(event)) ? event.preventDefault() : onClick?.(event))}
    >
      <Icon size={size === "sm" ? 15 : 17} aria-hidden />
    </button>
  );
}

export function ButtonLink({ look = "plain", size = "md", icon: Icon, children, ...rest }: LinkProps & { look?: Look; size?: Size; icon?: LucideIcon; onClick?: () => void; children: ReactNode }) {
  return (
    <Link {...(rest as LinkProps)} className={buttonClass(look, size)}>
      {Icon && <Icon size={size === "sm" ? 14 : 16} aria-hidden />}
      {children}
    </Link>
  );
}

function useWhyOff(needs: Permission | undefined, off: string | null | undefined): string | undefined {
  const me = useMe();
  const t = useTexts("shell");
  if (needs && !can(me, needs)) return t.needsPermission((me.role && t.roles[me.role]) ?? "");
  return off ?? undefined;
}
