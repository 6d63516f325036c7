/** What the pages of knowledge ask. */
import { type Schemas, api, data } from "@/api/client";
import { useList, useThing } from "@/api/queries";
import type { Source } from "./source";

export type Document = Schemas["KnowledgeDocument"];
export type Format = Schemas["KnowledgeFormat"];

export function useDocuments() {
  return useList(
    ["knowledge", "list"],
    (cursor, signal) => data(api.GET("/api/knowledge", { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.documents,
  );
}

export function useDocument(id: string) {
  return useThing(["knowledge", id], (signal) => data(api.GET("/api/knowledge/{id}", { params: { path: { id } }, signal })));
}

export function usePassages(id: string) {
  return useList(
    ["knowledge", id, "passages"],
    (cursor, signal) => data(api.GET("/api/knowledge/{id}/passages", { params: { path: { id }, query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.passages,
  );
}

interface Sent {
  name: string;
  language: string;
  source: Source;
  key: string;
}

/** A file goes as it is, beside its name; text and address as JSON. */
export function addDocument({ name, language, source, key }: Sent): Promise<Document> {
  const header = { "Idempotency-Key": key };
  if (source.kind === "file")
    return data(
      api.POST("/api/knowledge", {
        params: { header, query: { name, ...(language ? { language } : {}), ...(source.format ? { format: source.format } : {}) } },
        ...asBytes(source.file),
      }),
    );
  const about = { name, ...(language ? { language } : {}) };
  const body = source.kind === "url" ? { ...about, url: source.url, refetch_hours: source.refetchHours } : { ...about, text: source.text, ...(source.format ? { format: source.format } : {}) };
  return data(api.POST("/api/knowledge", { params: { header }, body }));
}

export function replaceDocument(id: string, source: Source, key: string): Promise<Document> {
  const header = { "Idempotency-Key": key };
  const path = { id };
  if (source.kind === "file") return data(api.POST("/api/knowledge/{id}/content", { params: { path, header, query: source.format ? { format: source.format } : {} }, ...asBytes(source.file) }));
  const text = source.kind === "text" ? source.text : "";
  return data(api.POST("/api/knowledge/{id}/content", { params: { path, header }, body: { text, ...(source.kind === "text" && source.format ? { format: source.format } : {}) } }));
}

/** The types say that bytes are a text; what is sent is the file. */
function asBytes(file: File) {
  return { body: file as unknown as string, bodySerializer: (body: unknown) => body as BodyInit, headers: { "Content-Type": "application/octet-stream" } };
}
