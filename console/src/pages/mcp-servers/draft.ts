/** A server as it is edited. Secrets come as `********`, and are sent so when they stay. */
import type { Schemas } from "@/api/client";
import { type Pair, objectOf, pairsOf } from "@/ui/pairs";
import type { Server } from "./queries";

export type Auth = "none" | "bearer" | "oauth";

export interface Draft {
  name: string;
  url: string;
  transport: Server["transport"];
  auth: Auth;
  bearer_token: string;
  oauth_token_url: string;
  oauth_client_id: string;
  oauth_client_secret: string;
  oauth_scope: string;
  headers: readonly Pair[];
  timeout_ms: number;
  require_approval_default: boolean;
  enabled: boolean;
}

export const BLANK: Draft = { name: "", url: "https://", transport: "streamable_http", auth: "none", bearer_token: "", oauth_token_url: "", oauth_client_id: "", oauth_client_secret: "", oauth_scope: "", headers: [], timeout_ms: 8000, require_approval_default: true, enabled: true };

export function draftOf(server: Server): Draft {
  return {
    name: server.name,
    url: server.url,
    transport: server.transport,
    auth: server.oauth_token_url ? "oauth" : server.bearer_token ? "bearer" : "none",
    bearer_token: server.bearer_token ?? "",
    oauth_token_url: server.oauth_token_url ?? "",
    oauth_client_id: server.oauth_client_id ?? "",
    oauth_client_secret: server.oauth_client_secret ?? "",
    oauth_scope: server.oauth_scope ?? "",
    headers: pairsOf(server.headers_json),
    timeout_ms: server.timeout_ms,
    require_approval_default: server.require_approval_default,
    enabled: server.enabled,
  };
}

/** What is sent: of the ways to sign in, only the chosen one's fields. */
export function fieldsOf(draft: Draft): Schemas["McpServerInput"] {
  const isOauth = draft.auth === "oauth";
  return {
    name: draft.name.trim(),
    url: draft.url.trim(),
    transport: draft.transport,
    bearer_token: draft.auth === "bearer" ? draft.bearer_token || null : null,
    oauth_token_url: isOauth ? draft.oauth_token_url.trim() || null : null,
    oauth_client_id: isOauth ? draft.oauth_client_id.trim() || null : null,
    oauth_client_secret: isOauth ? draft.oauth_client_secret || null : null,
    oauth_scope: isOauth ? draft.oauth_scope.trim() || null : null,
    headers_json: objectOf(draft.headers),
    timeout_ms: draft.timeout_ms,
    require_approval_default: draft.require_approval_default,
    enabled: draft.enabled,
  };
}

export function changesOf(before: Draft, after: Draft): Schemas["McpServerPatch"] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const names = Object.keys(now) as (keyof typeof now)[];
  return Object.fromEntries(names.filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name])).map((name) => [name, now[name]]));
}
