import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { type Plugin, defineConfig } from "vite";

/** The platform that the development server asks. */
const API = process.env["HUM_API"] ?? "http://127.0.0.1:8080";
const OUT = fileURLToPath(new URL("../gateway/static", import.meta.url));
/** The console's page, and what the reference and the guides wear, whose pages the gateway writes. */
const INPUT = ["index.html", "src/reference.ts", "src/guides.ts"].map((name) => fileURLToPath(new URL(name, import.meta.url)));

/** Packs what is sent, once everything is written: what a bundle holds before is not yet what a browser gets. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      for (const each of readdirSync(OUT, { recursive: true, withFileTypes: true })) {
        if (!each.isFile() || !/\.(js|css|svg)$/.test(each.name)) continue;
        const path = join(each.parentPath, each.name);
        const content = readFileSync(path);
        // The last tenth of the size takes ten times as long: not for the reference, which few open.
        const quality = content.length < 1_000_000 ? constants.BROTLI_MAX_QUALITY : 9;
        if (content.length >= 1024) writeFileSync(`${path}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } }));
      }
    },
  };
}

/** Redoc's logo would come from its maker's host, which the reference's policy refuses; without it Redoc shows its name alone. */
function logoless(): Plugin {
  return {
    name: "logoless",
    apply: "build",
    transform: (code, id) => (id.endsWith("redoc.standalone.js") ? code.replace(/https:\/\/cdn\.redoc\.ly\/[\w/-]+\.svg/g, "data:,") : null),
  };
}

/** What the first page needs stays in one file: packed together it is a tenth smaller than cut into what each page shares with it. */
function shellGroup() {
  let shell: Set<string> | undefined;
  return (id: string, context: { getModuleInfo: (id: string) => { importedIds: readonly string[] } | null }): string | null => {
    shell ??= reachable(fileURLToPath(new URL("./src/main.tsx", import.meta.url)), (each) => context.getModuleInfo(each));
    return shell.has(id) ? "shell" : null;
  };
}

function reachable(entry: string, infoOf: (id: string) => { importedIds: readonly string[] } | null): Set<string> {
  const found = new Set([entry]);
  for (const id of found) {
    if (/lucide-react\.m?js$/.test(id)) continue; // names every icon there is
    for (const each of infoOf(id)?.importedIds ?? []) found.add(each);
  }
  found.delete(entry); // it stays the chunk that is the entry
  return found;
}

/** What pages share: one file, fetched once, instead of one for each picture and function. */
const GROUPS = [
  { name: shellGroup(), priority: 1 },
  { name: "kit", test: /src\/(lib|api)\/|src\/ui\/(button|copy|field|held|layout|list-keys|moment|now|row-keys|table|table-keys|tabs|toast)\.tsx?$|node_modules\/(lucide-react|@tanstack\/(react-virtual|virtual-core))\//, minShareCount: 2 },
];

/** What every visit needs besides the shell is asked for with it, and not when the shell has been read: its texts, what pages share. */
function ahead(): Plugin {
  const isWanted = (name: string | undefined, facade: string | null | undefined): boolean => name === "kit" || facade?.endsWith("/src/i18n/en/shell.ts") === true;
  return {
    name: "ahead",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (_, { bundle }) =>
        Object.values(bundle ?? {})
          .filter((each) => each.type === "chunk" && isWanted(each.name, each.facadeModuleId))
          .map(({ fileName }) => ({ tag: "link", attrs: { rel: "modulepreload", crossorigin: true, href: `/${fileName}` }, injectTo: "head" as const })),
    },
  };
}

/** Pages by which one comes in; what they need is listed in the shell, so that nothing is found only when the page is read. */
const ENTRANCES = /\/(calls|inbox|home|page|thread)-[\w-]+\.js$/;

// The gateway serves what is written here, and puts a nonce into index.html for each answer.
export default defineConfig({
  plugins: [react(), tailwindcss(), logoless(), ahead(), packed()],
  resolve: {
    alias: [
      { find: "@", replacement: fileURLToPath(new URL("./src", import.meta.url)) },
      { find: /^use-sync-external-store\/shim(\/index\.js)?$/, replacement: "react" }, // which has had it since 18
    ],
  },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    manifest: "manifest.json",
    sourcemap: false,
    modulePreload: {
      polyfill: false, // every browser that runs the rest has it
      // What a page shares with few others is found when the page is read; listing it for every page would cost the shell 2 KB.
      resolveDependencies: (name, files, { hostType }) => (hostType === "html" || ENTRANCES.test(name) ? files : files.filter((file) => /\/kit-|\.css$/.test(file))),
    },
    // Seven characters of a hash tell files apart as well as eight, and the shell, which names each page's, can pack none of them.
    rolldownOptions: { input: INPUT, output: { codeSplitting: { groups: GROUPS }, chunkFileNames: "assets/[name]-[hash:7].js" } },
    assetsInlineLimit: 0, // the policy of the pages allows no data: but for pictures
  },
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(["^/api/", "^/auth/", "^/docs", "^/guides", "^/style.css", "^/openapi.json"].map((path) => [path, { target: API, headers: { origin: API } }])),
  },
});
