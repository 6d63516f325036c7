import { vi } from "vitest";

// Files of tests share a process and a page, which take longer to make than most tests; each has modules of its own.
vi.resetModules();
