/** What `GET /api/stream` tells, by name. Imported by the worker, so it imports nothing that runs. */
import type { Schemas } from "./client";

export type Changes = Schemas["StreamChangesEvents"];
export type ChangeName = keyof Changes;

export const CHANGES = [
  "resync",
  "call.created",
  "call.updated",
  "voicemail.created",
  "voicemail.updated",
  "message.created",
  "message.updated",
  "conversation.updated",
  "campaign.updated",
  "approval.updated",
  "resource.changed",
  "resource.deleted",
] as const satisfies readonly ChangeName[];

/** Fails to compile when the stream has an event that isn't listed here. */
export const ALL_ARE_LISTED: Exclude<ChangeName, (typeof CHANGES)[number]> extends never ? true : false = true;
