/** The editor and the comparison, fetched when they are first shown. */
import { Suspense, lazy } from "react";
import { Skeleton } from "../layout";
import type { DiffProps } from "./diff";
import type { JsonEditorProps } from "./editor";

const Editor = lazy(() => import("./editor"));
const Comparison = lazy(() => import("./diff"));

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
