/** What the page of approvals asks. */
import { type Schemas, api, data } from "@/api/client";
import { useList, useThing } from "@/api/queries";

export type Approval = Schemas["Approval"];

export function useApprovals(state: Schemas["ApprovalState"] | undefined, enabled = true) {
  return useList(
    ["approvals", "list", state ?? "all"],
    (cursor, signal) => data(api.GET("/api/approvals", { params: { query: { limit: 100, ...(state ? { state } : {}), ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.approvals,
    enabled,
  );
}

/** With its schema and its result, which lists don't have. */
export function useApproval(id: string, enabled = true) {
  return useThing(["approvals", id], (signal) => data(api.GET("/api/approvals/{id}", { params: { path: { id } }, signal })), { enabled });
}
