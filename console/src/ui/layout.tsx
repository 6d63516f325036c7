/** What pages are made of: head, cards, badges, facts, and what stands where nothing is, or nothing yet. */
import { Link, type LinkProps } from "@tanstack/react-router";
import { AlertTriangle, type LucideIcon, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { useEffect } from "react";
import { useMe, useZone } from "@/api/me";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { fullTime, relativeTime, shortTime } from "@/lib/format";
import { Button } from "./button";

/** A page: its title (also the tab's), what can be done, the address of its guide, and its content. `isFlush` leaves the content without padding. */
export function Page({ title, lead, guide, back, actions, isFlush = false, children }: { title: string; lead?: ReactNode; guide?: `/guides/${string}`; back?: { to: LinkProps["to"]; label: string }; actions?: ReactNode; isFlush?: boolean; children: ReactNode }) {
  const t = useTexts("shell");
  const name = useMe().organization?.name;
  useEffect(() => {
    document.title = [title, name, "HUM"].filter(Boolean).join(" · ");
  }, [title, name]);
  return (
    <div className={`flex flex-col print:block print:h-auto ${isFlush ? "h-full" : "min-h-full"}`}>
      <header className="flex flex-wrap items-start gap-x-4 gap-y-2 px-6 pt-5 pb-4 max-md:px-4 max-md:pt-4">
        <div className={`flex-1 ${lead && typeof lead !== "string" ? "min-w-[min(100%,18rem)]" : "min-w-[min(100%,12rem)]"}`}>
          {back && (
            <Link to={back.to} className="mb-0.5 inline-block text-[13px] text-dim hover:text-ink hover:underline print:hidden">
              ← {back.label}
            </Link>
          )}
          <h1 className="text-xl tracking-tight">{title}</h1>
          {(lead || guide) && (
            <div className={`mt-1 text-dim ${typeof lead === "string" ? "max-w-2xl" : ""}`}>
              {lead} {guide && <GuideLink to={guide}>{t.guide}</GuideLink>}
            </div>
          )}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2 print:hidden">{actions}</div>}
      </header>
      <div className={isFlush ? "flex min-h-80 flex-1 flex-col print:block" : "flex-1 px-6 pb-8 max-md:px-4"}>{children}</div>
    </div>
  );
}

/** A link to a guide, in a tab of its own: what is being written stays. */
export function GuideLink({ to, children }: { to: `/guides/${string}`; children: ReactNode }) {
  return (
    <a href={to} target="_blank" rel="noreferrer" className="whitespace-nowrap text-accent underline">
      {children}
    </a>
  );
}

export function Card({ title, actions, children, isFlush = false }: { title?: ReactNode; actions?: ReactNode; children: ReactNode; isFlush?: boolean }) {
  return (
    <section className="min-w-0 rounded-card border border-line bg-surface shadow-card">
      {(title || actions) && (
        <header className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2.5">
          <h2 className="text-sm">{title}</h2>
          {actions && <div className="flex flex-wrap items-center gap-1.5">{actions}</div>}
        </header>
      )}
      <div className={isFlush ? "" : "p-4"}>{children}</div>
    </section>
  );
}

export type Tone = "plain" | "good" | "warn" | "bad" | "info" | "accent";
const TONES: Record<Tone, string> = {
  plain: "bg-sunken text-dim",
  good: "bg-good-soft text-good",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
  info: "bg-info-soft text-info",
  accent: "bg-accent-soft text-accent",
};

export function Badge({ tone = "plain", children, isLive = false }: { tone?: Tone; children: ReactNode; isLive?: boolean }) {
  return (
    <span className={`inline-flex h-5 max-w-full items-center gap-1.5 rounded-full px-2 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}>
      {isLive && <span aria-hidden className="size-1.5 animate-[hum-pulse_1.6s_infinite] rounded-full bg-current" />}
      {typeof children === "string" ? <span className="truncate">{children}</span> : children}
    </span>
  );
}

/** An instant, short; with everything in its tooltip. `isExact` shows seconds, where several come in a minute. */
export function Time({ at, isRelative = false, isExact = false }: { at: string | null | undefined; isRelative?: boolean; isExact?: boolean }) {
  const zone = useZone();
  if (!at) return <span className="text-dim">–</span>;
  return (
    <time dateTime={at} title={fullTime(at, zone)} className="tabular whitespace-nowrap">
      {isRelative ? relativeTime(at) : shortTime(at, zone, undefined, isExact)}
    </time>
  );
}

/** Facts about one thing, as terms and descriptions. */
export function Facts({ items }: { items: readonly (readonly [string, ReactNode] | null | false | undefined)[] }) {
  return (
    <dl className="grid grid-cols-[minmax(7rem,auto)_1fr] gap-x-4 gap-y-1.5">
      {items.map(
        (item) =>
          item && (
            <div key={item[0]} className="contents">
              <dt className="text-dim">{item[0]}</dt>
              <dd className="min-w-0">{item[1] ?? <span className="text-dim">–</span>}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

/** What stands where nothing is yet: what it is for, and the way to the first one. */
export function Empty({ icon: Icon, title, children, action }: { icon: LucideIcon; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-md flex-col items-center px-4 py-14 text-center">
      <span className="mb-3 grid size-11 place-items-center rounded-full bg-accent-soft text-accent">
        <Icon size={20} aria-hidden />
      </span>
      <h2 className="text-base">{title}</h2>
      {children && <div className="mt-1.5 text-dim">{children}</div>}
      {action && <div className="mt-4 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** A panel's own failure: the rest of the page stands. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useTexts("shell");
  const refusal = asApiError(error);
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 rounded-card border border-line bg-surface p-4">
      <AlertTriangle size={18} aria-hidden className="text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{refusal.message}</p>
        {refusal.requestId && <p className="text-xs text-dim">{t.request(refusal.requestId)}</p>}
      </div>
      {onRetry && refusal.status !== 403 && refusal.status !== 404 && (
        <Button size="sm" icon={RotateCw} onClick={onRetry}>
          {t.tryAgain}
        </Button>
      )}
    </div>
  );
}

/** Bars where text will be. */
export function Skeleton({ lines = 3, height = "h-4" }: { lines?: number; height?: string }) {
  const t = useTexts("shell");
  return (
    <div role="status" aria-label={t.loading} className="space-y-2.5">
      {Array.from({ length: lines }, (_, at) => (
        <div
          key={at}
          className={`${height} animate-[hum-shimmer_1.6s_linear_infinite] rounded bg-[linear-gradient(90deg,var(--color-sunken)_25%,var(--color-hover)_50%,var(--color-sunken)_75%)] bg-[length:200%_100%]`}
          style={{ width: `${[100, 82, 91, 68][at % 4]}%` }}
        />
      ))}
    </div>
  );
}

/** A query's three states in one place: bars, the failure, or the content. */
export function Loaded<T>({ query, children, skeleton }: { query: { data: T | undefined; error: unknown; refetch: () => unknown }; children: (data: T) => ReactNode; skeleton?: ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  return skeleton ?? <Skeleton />;
}
