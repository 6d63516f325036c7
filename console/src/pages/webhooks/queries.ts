/** What the webhooks' pages ask. A webhook is `["webhooks", id]`, its deliveries are below it. */
import { useEffect } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { queryClient, useList, useThing } from "@/api/queries";

export type Webhook = Schemas["Webhook"];
export type Delivery = Schemas["WebhookDelivery"];
export type DeliveryState = Schemas["WebhookDeliveryState"];
export type Preset = Schemas["WebhookPreset"];

export function useWebhooks() {
  return useList(
    ["webhooks", "list"],
    (cursor, signal) => data(api.GET("/api/webhooks", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.webhooks,
  );
}

export function useWebhook(id: string) {
  return useThing(["webhooks", id], (signal) => data(api.GET("/api/webhooks/{id}", { params: { path: { id } }, signal })));
}

export function usePresets() {
  return useThing(["webhook-presets"], async (signal) => (await data(api.GET("/api/webhook-presets", { signal }))).presets);
}

export function useDeliveries(id: string, state: DeliveryState | undefined) {
  return useList(
    ["webhooks", id, "deliveries", state ?? "all"],
    (cursor, signal) => data(api.GET("/api/webhooks/{id}/deliveries", { params: { path: { id }, query: { limit: 100, ...(state ? { state } : {}), ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.deliveries,
  );
}

export function useDelivery(id: string, deliveryId: string) {
  return useThing(["webhooks", id, "delivery", deliveryId], (signal) => data(api.GET("/api/webhooks/{id}/deliveries/{delivery_id}", { params: { path: { id, delivery_id: deliveryId } }, signal })));
}

const POLL_MS = 5000;
/** A list that is scrolled further is left as it is. */
const MOST_PAGES = 2;

/** Deliveries are no news of the stream: while they are shown, they are asked again. */
export function useFreshDeliveries(id: string): void {
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState !== "visible") return;
      void queryClient.invalidateQueries({
        queryKey: ["webhooks", id],
        predicate: (query) => ((query.state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 0) <= MOST_PAGES,
      });
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [id]);
}

/** Names of what a webhook may be narrowed to. */
export function useNumberNames() {
  return useThing(["numbers", "names"], (signal) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })), { enabled: useCan("numbers:read") });
}
