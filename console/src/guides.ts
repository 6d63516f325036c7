/** The guides at `/guides`, which the gateway writes (`gateway/guides/`): the console's font, and buttons that copy. Strangers read them too. */
import "@fontsource-variable/inter/wght.css";

const SHOWN_MS = 1500;

// A page that came over http from another machine may not write to the clipboard.
if ("clipboard" in navigator) {
  for (const block of document.querySelectorAll(".code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      void navigator.clipboard.writeText(block.querySelector("code")?.textContent ?? "").then(() => {
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), SHOWN_MS);
      });
    });
    block.append(button);
  }
}
