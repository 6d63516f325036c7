import type { Refusals } from "../table";

/** Approvals. */
const sentences: Refusals["sentences"] = [
  ["It is {decision} already.", "Ya está {decision}."],
  ["It is {decision} by {name} already.", "Ya está {decision} por {name}."],
  ["Its time is over.", "Su plazo ha terminado."],
];

export default sentences;
