/** Links to pages by their path, where which page it is is only known at run time. */
import type { LinkProps } from "@tanstack/react-router";

export function toPage(path: string): { to: NonNullable<LinkProps["to"]> } {
  return { to: path as NonNullable<LinkProps["to"]> };
}
