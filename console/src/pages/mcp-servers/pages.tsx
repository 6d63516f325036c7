/** These pages come as one: they share most of what they are made of, and the frame names one file instead of several. */
export { McpServers } from "./list";
export { McpServerPage } from "./server";
