/** A path that no page has: another name of one, or nothing. */
import { Link, Navigate, useParams } from "@tanstack/react-router";
import { useTexts } from "@/i18n";

/** Names that the product guide and the API have for pages, and where these are. */
const ALIASES: ReadonlyMap<string, "/" | "/agents" | "/inbox" | "/calls/blocked" | "/crm"> = new Map([
  ["dashboard", "/"],
  ["login", "/"],
  ["flows", "/agents"],
  ["conversations", "/inbox"],
  ["blocklist", "/calls/blocked"],
  ["crm-connectors", "/crm"],
] as const);

export function Unknown() {
  const { _splat: path = "" } = useParams({ strict: false });
  const to = ALIASES.get(path.replace(/\/$/, ""));
  return to ? <Navigate to={to} replace /> : <NotFound />;
}

export function NotFound() {
  const t = useTexts("shell");
  return (
    <div className="grid min-h-full place-items-center p-6 text-center">
      <div>
        <h1 className="text-xl">{t.notFound}</h1>
        <p className="mt-2 text-dim">{t.notFoundLead}</p>
        <Link to="/" className="mt-4 inline-block font-medium text-accent underline">
          {t.toStart}
        </Link>
      </div>
    </div>
  );
}
