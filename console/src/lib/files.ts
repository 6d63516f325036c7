/** The most bytes of one file that the API takes as a list of contacts or as a document; `import_bytes` and `knowledge_bytes` there. */
export const MOST_FILE_BYTES = 8_388_608;
