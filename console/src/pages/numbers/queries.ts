/** Numbers, and the agents that may answer them. */
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useList, useThing } from "@/api/queries";
import type { Wishes } from "./wishes";

export type PhoneNumber = Schemas["Number"];
export type AvailableNumber = Schemas["AvailableNumber"];
/** Touched by every change of a number: the dashboard counts them. */
export const TOUCHED = [["numbers"], ["dashboard"]];

export function useNumbers() {
  return useList(
    ["numbers", "list"],
    (cursor, signal) => data(api.GET("/api/numbers", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.numbers,
  );
}

export function useNumber(id: string) {
  return useThing(["numbers", id], (signal) => data(api.GET("/api/numbers/{id}", { params: { path: { id } }, signal })));
}

export function useAvailable(wishes: Wishes) {
  const query = {
    limit: 30,
    ...(wishes.country ? { country: wishes.country } : {}),
    ...(wishes.area ? { area_code: wishes.area } : {}),
    ...(wishes.contains ? { contains: wishes.contains } : {}),
    ...(wishes.locality ? { locality: wishes.locality } : {}),
    ...(wishes.region ? { region: wishes.region } : {}),
    ...(wishes.can ? { capabilities: wishes.can } : {}),
  };
  return useThing(["available numbers", wishes], (signal) => data(api.GET("/api/numbers/available", { params: { query }, signal })));
}

export function usePlanUse(resource: Schemas["Resource"]) {
  const ask = (signal: AbortSignal) => data(api.GET("/api/billing", { signal }));
  const billing = useThing(["billing"], ask, { enabled: useCan("billing:read") });
  return billing.data?.resources.find((each) => each.resource === resource);
}
