/** Which organization one works in; changing it begins everything anew, in every tab. */
import { api, data } from "@/api/client";
import { movedTo } from "@/api/moves";

export async function switchOrganization(id: string): Promise<void> {
  await data(api.POST("/api/me/organization", { body: { organization_id: id } }));
  arriveIn(id);
}

/** The session has moved there: every query, stream and draft of this page belongs to the organization before. */
export function arriveIn(id: string): void {
  movedTo(id);
  location.assign("/");
}
