/** Who is signed in, and what they may do here. */
import { useQuery } from "@tanstack/react-query";
import { type Schemas, api, data } from "./client";
import { queryClient } from "./queries";

export type Me = Schemas["GetMe"];
/** `calls:write`, as the API's scopes are called. */
export type Permission = `${string}:read` | `${string}:write` | "site:admin";

export const meQuery = {
  queryKey: ["me"],
  queryFn: ({ signal }: { signal: AbortSignal }): Promise<Me> => data(api.GET("/api/me", { signal })),
  staleTime: 60_000,
};

export function useMe(): Me {
  const { data: me } = useQuery(meQuery);
  if (!me) throw new Error("the shell shows pages only to who is signed in");
  return me;
}

/** Outside of pages: who is signed in, once that is known. */
export function heldMe(): Me | undefined {
  return queryClient.getQueryData<Me>(meQuery.queryKey);
}

/** The key under which the browser keeps what this person has begun: nobody else who signs in there is shown it. */
export function ownKey(me: Pick<Me, "organization" | "user">, id: string): `${string}/${string}/${string}` {
  return `${me.organization?.id ?? ""}/${me.user?.id ?? ""}/${id}`;
}

export function can(me: Me, permission: Permission): boolean {
  return me.permissions.includes(permission);
}

export function useCan(permission: Permission): boolean {
  return can(useMe(), permission);
}

export function zoneOf(me: Me): string {
  return me.organization?.time_zone ?? "UTC";
}

/** The zone in which the organization lives; every time on every page is shown in it. */
export function useZone(): string {
  return zoneOf(useMe());
}
