/** These pages come as one: they share most of what they are made of, and the frame names one file instead of several. */
export { Executions } from "./executions";
export { Tools } from "./list";
export { NewTool } from "./new";
export { Secrets } from "./secrets";
export { ToolPage } from "./tool";
