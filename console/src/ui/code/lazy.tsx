/** The editor and the comparison, fetched when they are first shown. */
import { Suspense } from "react";
import { Skeleton } from "../layout";
import { part } from "../part";
import type { DiffProps } from "./diff";
import type { JsonEditorProps } from "./editor";

const Editor = part(() => import("./editor"));
const Comparison = part(() => import("./diff"));

export function JsonEditor(props: JsonEditorProps) {
  return (
    <Suspense fallback={<Skeleton lines={12} />}>
      <Editor {...props} />
    </Suspense>
  );
}

export function Diff(props: DiffProps) {
  return (
    <Suspense fallback={<Skeleton lines={8} />}>
      <Comparison {...props} />
    </Suspense>
  );
}
