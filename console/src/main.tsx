import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { onSignedOut } from "./api/client";
import { queryClient } from "./api/queries";
import { router } from "./app/router";
import "./styles.css";

onSignedOut(() => {
  const here = router.state.location;
  if (here.pathname !== "/sign-in") void router.navigate({ to: "/sign-in", search: { return_to: here.href } });
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
