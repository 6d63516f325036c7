/** What this page shows is this organization's. Each request names it: meant for another one than the session's, it is refused. */
export const shown: { organization?: string | undefined } = {};
