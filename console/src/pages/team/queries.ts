import { type Schemas, api, data } from "@/api/client";
import { useList } from "@/api/queries";

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
