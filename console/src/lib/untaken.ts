/** The tag of calls whose transfers nobody took, until somebody has dealt with the caller. */
export const UNTAKEN = "transfer-not-taken";
