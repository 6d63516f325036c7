/** These pages come as one: they share most of what they are made of, and the frame names one file instead of several. */
export { ConnectorPage } from "./connector";
export { Crm } from "./crm";
