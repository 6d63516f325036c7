/** The way out: what this person began is not left in the browser. */
import type { ReactNode } from "react";
import { forgetWork } from "@/lib/kept";

export function SignOut({ className, children }: { className?: string; children: ReactNode }) {
  return (
    <form method="post" action="/auth/logout" className={className} onSubmit={forgetWork}>
      {children}
    </form>
  );
}
