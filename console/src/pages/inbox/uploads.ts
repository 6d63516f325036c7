/** Files of a text: made fit for the carrier where they can be, checked, and stored until the text is sent. */
import { api, data, idempotencyKey } from "@/api/client";
import { MOST_FILES } from "./drafts";

/** A stored file that a draft will send. */
export interface Attachment {
  id: string;
  name: string;
  type: string;
  size: number;
  /** A small picture of it as a data URL; null if it is none. */
  preview: string | null;
}

/** What the carrier takes as one text. */
export const MOST_BYTES = 5_000_000;
export const ACCEPTED = "image/*,audio/*,video/mp4,video/quicktime,video/3gpp,application/pdf,.pdf,.vcf,text/vcard";
/** Kinds that go as they are; a browser makes JPEG of other pictures. */
const PICTURES = new Set(["image/jpeg", "image/png", "image/gif"]);
const LONGEST_SIDE = 2048;
const PREVIEW_SIDE = 96;
const QUALITY = 0.85;

export type Refusal = "empty" | "tooLarge" | "tooMany";

/** Why a file can't be added to these; null if it can. */
export function refusalOf(size: number, added: readonly Pick<Attachment, "size">[]): Refusal | null {
  if (size === 0) return "empty";
  if (added.length >= MOST_FILES) return "tooMany";
  return added.reduce((sum, each) => sum + each.size, size) > MOST_BYTES ? "tooLarge" : null;
}

/** The size of a picture whose longer side is at most `most`. */
export function fitted(width: number, height: number, most: number): [number, number] {
  const share = Math.min(1, most / Math.max(width, height));
  return [Math.max(1, Math.round(width * share)), Math.max(1, Math.round(height * share))];
}

/** The file as the carrier takes it: a picture of another kind, or one that is too large, becomes a JPEG that fits. */
export async function fitting(file: File): Promise<File> {
  const isPicture = file.type.startsWith("image/") && file.type !== "image/svg+xml";
  if (!isPicture || (PICTURES.has(file.type) && (file.size <= MOST_BYTES || file.type === "image/gif"))) return file;
  const jpeg = await drawn(file, LONGEST_SIDE);
  return jpeg ? new File([jpeg], `${file.name.replace(/\.[^.]*$/, "")}.jpg`, { type: "image/jpeg" }) : file;
}

/** A small picture of a file, as a page's policy lets it be shown; null if the browser can't draw it. */
export async function previewOf(file: File): Promise<string | null> {
  if (!file.type.startsWith("image/")) return null;
  const small = await drawn(file, PREVIEW_SIDE);
  if (!small) return null;
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result)));
    reader.addEventListener("error", () => resolve(null));
    reader.readAsDataURL(small);
  });
}

async function drawn(file: File, most: number): Promise<Blob | null> {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const [width, height] = fitted(bitmap.width, bitmap.height, most);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.fillStyle = "#fff"; // JPEG knows no transparency
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY }).catch(() => null);
}

export async function upload(file: File): Promise<Attachment> {
  const stored = await data(
    api.POST("/api/sms/uploads", {
      params: { header: { "Idempotency-Key": idempotencyKey() } },
      // The types say that bytes are a text; what is sent is the file.
      body: file as never,
      bodySerializer: (body: unknown) => body as BodyInit,
      headers: { "Content-Type": "application/octet-stream" },
    }),
  );
  return { id: stored.id, name: file.name, type: stored.content_type, size: stored.size_bytes, preview: await previewOf(file) };
}

/** Delete a file that will not be sent; one that can't be deleted now goes by itself after a day. */
export function discard(id: string): void {
  void data(api.DELETE("/api/sms/uploads/{id}", { params: { path: { id } } })).catch(() => undefined);
}
