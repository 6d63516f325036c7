/** The viewer of JSON. */
import { plural } from "../language";

export default {
  value: "value",
  fold: (what: string) => `Fold ${what}`,
  unfold: (what: string) => `Unfold ${what}`,
  members: (count: number) => plural(count, { one: "member", other: "members" }),
  showAll: (size: string) => `Show all (${size})`,
  tooLong: "This is too long to be shown as a whole. Copy it to see the rest.",
  copy: "Copy all",
  copied: "Copied",
};
