/** Where each section's Spanish texts are. */
import type { Section } from "./index";
import type { Sections } from "./sections";

export default import.meta.glob<{ default: Sections[Section] }>("./es/*.ts") as Record<string, () => Promise<{ default: Sections[Section] }>>;
