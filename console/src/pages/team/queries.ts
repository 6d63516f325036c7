import { type Schemas, api, data } from "@/api/client";
import { useList, useThing } from "@/api/queries";

export type Member = Schemas["Member"] & { id: string };
export type Invite = Schemas["Invite"];
export type Role = Schemas["Role"];
export const ROLES: readonly Role[] = ["viewer", "operator", "admin"];

export function useMembers() {
  return useList(
    ["team", "members"],
    (cursor, signal) => data(api.GET("/api/team", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page): Member[] => page.members.map((each) => ({ ...each, id: each.user_id })),
  );
}

export function useInvites(isWanted: boolean) {
  return useList(
    ["team", "invites"],
    (cursor, signal) => data(api.GET("/api/team/invites", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.invites,
    isWanted,
  );
}

/** The open invitation to this address, which the next one to it replaces. */
export function useInviteTo(email: string): Invite | undefined {
  const address = email.trim().toLowerCase();
  const { data: invites } = useThing(["team", "invites", "all"], allInvites);
  return invites?.find((each) => each.email.toLowerCase() === address);
}

async function allInvites(signal: AbortSignal): Promise<Invite[]> {
  const all: Invite[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await data(api.GET("/api/team/invites", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal }));
    all.push(...page.invites);
    cursor = page.next_cursor;
  } while (cursor);
  return all;
}

/** Whether this deployment sends e-mails; undefined until it is known. */
export function useSendsEmails(): boolean | undefined {
  return useThing(["me", "notifications"], (signal) => data(api.GET("/api/me/notifications", { signal }))).data?.available;
}
