/** What the triggers' pages ask. A trigger is `["triggers", id]`, what it received is below it. */
import { useEffect } from "react";
import { type Schemas, api, data } from "@/api/client";
import { queryClient, useList, useThing } from "@/api/queries";

export type Trigger = Schemas["Trigger"];
export type Delivery = Schemas["TriggerDelivery"];

export function useTriggers() {
  return useList(
    ["triggers", "list"],
    (cursor, signal) => data(api.GET("/api/triggers", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.triggers,
  );
}

export function useTrigger(id: string) {
  return useThing(["triggers", id], (signal) => data(api.GET("/api/triggers/{id}", { params: { path: { id } }, signal })));
}

export function useDeliveries(id: string) {
  return useList(
    ["triggers", id, "deliveries"],
    (cursor, signal) => data(api.GET("/api/triggers/{id}/deliveries", { params: { path: { id }, query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.deliveries,
  );
}

export function useBody(id: string, deliveryId: string, enabled: boolean) {
  return useThing(["triggers", id, "body", deliveryId], (signal) => data(api.GET("/api/triggers/{id}/bodies/{delivery_id}", { params: { path: { id, delivery_id: deliveryId } }, signal })), { enabled });
}

const POLL_MS = 5000;
/** A list that is scrolled further is left as it is. */
const MOST_PAGES = 2;

/** What triggers receive is no news of the stream: while it is shown, it is asked again. */
export function useFresh(id: string): void {
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState !== "visible") return;
      void queryClient.invalidateQueries({
        queryKey: ["triggers", id],
        predicate: (query) => query.queryKey[2] !== "body" && ((query.state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 0) <= MOST_PAGES,
      });
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [id]);
}
