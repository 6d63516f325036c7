/** Tabs whose choice lives in the URL: each is a link. */
import { Link, type LinkProps } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";

export interface Tab {
  label: ReactNode;
  link: LinkProps;
  isActive: boolean;
}

export function Tabs({ label, tabs }: { label: string; tabs: readonly Tab[] }) {
  const nav = useRef<HTMLElement>(null);
  const chosen = tabs.findIndex((tab) => tab.isActive);
  // On a phone the chosen one may be past the edge.
  useEffect(() => {
    nav.current?.children[chosen]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [chosen]);
  return (
    <nav aria-label={label} ref={nav} className="flex shrink-0 gap-1 overflow-x-auto overflow-y-hidden border-b border-line px-6 max-md:px-4">
      {tabs.map((tab, at) => (
        <Link
          key={at}
          {...tab.link}
          aria-current={tab.isActive ? "page" : undefined}
          className={`-mb-px border-b-2 px-2.5 py-2 font-medium whitespace-nowrap ${tab.isActive ? "border-accent text-ink" : "border-transparent text-dim hover:text-ink"}`}
        >
          {tab.label}
        </Link>
      ))}
    </nav>
  );
}
