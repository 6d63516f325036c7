/** Figures: a value with its name and what it was before, and shares as bars. */
import { Link, type LinkProps } from "@tanstack/react-router";
import { ArrowDown, ArrowRight, ArrowUp } from "lucide-react";
import type { ReactNode } from "react";
import { useTexts } from "@/i18n";
import { percent } from "@/lib/format";

/** A share of change; `isGood` says which direction is good news, null that neither is. */
export function Trend({ share, than, upIsGood = null }: { share: number | null; than: string; upIsGood?: boolean | null }) {
  if (share === null) return null;
  const isFlat = Math.abs(share) < 0.005;
  const tone = isFlat || upIsGood === null ? "text-dim" : share > 0 === upIsGood ? "text-good" : "text-bad";
  const Icon = isFlat ? ArrowRight : share > 0 ? ArrowUp : ArrowDown;
  return (
    <span className={`tabular inline-flex items-center gap-0.5 whitespace-nowrap ${tone}`} title={than}>
      <Icon size={13} aria-hidden />
      {`${share > 0 && !isFlat ? "+" : ""}${percent(share)}`}
      <span className="sr-only">{than}</span>
    </span>
  );
}

export function Figure({ name, value, note, link }: { name: string; value: ReactNode; note?: ReactNode; link?: LinkProps }) {
  return (
    <div className="relative min-w-0 rounded-card border border-line bg-surface px-4 py-3 shadow-card">
      <dt className="text-[13px] text-dim">
        {link ? (
          <Link {...link} className="after:absolute after:inset-0 after:rounded-card hover:underline">
            {name}
          </Link>
        ) : (
          name
        )}
      </dt>
      <dd>
        <span className="tabular block text-2xl leading-9 font-semibold tracking-tight">{value}</span>
        <span className="flex min-h-4.5 flex-wrap gap-x-2 text-xs text-dim">{note}</span>
      </dd>
    </div>
  );
}

export function Figures({ label, children }: { label: string; children: ReactNode }) {
  return (
    <dl aria-label={label} className="grid grid-cols-[repeat(auto-fit,minmax(9.25rem,1fr))] gap-3 max-md:grid-cols-2">
      {children}
    </dl>
  );
}

/** As high as the figures that will stand there: what is below doesn't jump when they come. */
export function FiguresToCome({ count }: { count: number }) {
  return (
    <div role="status" aria-label={useTexts("shell").loading} className="grid grid-cols-[repeat(auto-fit,minmax(9.25rem,1fr))] gap-3 max-md:grid-cols-2">
      {Array.from({ length: count }, (_, at) => (
        <div key={at} className="h-[99px] rounded-card border border-line bg-surface shadow-card max-md:h-[116px]" />
      ))}
    </div>
  );
}

/** A part of a whole, as a bar; readers get the value's text beside it. */
export function Bar({ share, tone = "accent" }: { share: number; tone?: "accent" | "warn" | "bad" }) {
  const colour = { accent: "fill-accent", warn: "fill-warn", bad: "fill-bad" }[tone];
  return (
    <svg aria-hidden className="block h-1.5 w-full overflow-hidden rounded-full bg-sunken" preserveAspectRatio="none" viewBox="0 0 100 1">
      <rect width={Math.max(0, Math.min(1, share)) * 100} height={1} className={colour} />
    </svg>
  );
}
