/** How a device stands, as `kerb device` says it; apart, so that the command line need not load the verb. */
export const deviceStates = [
  "online",
  "lost",
  "wrong-device",
  "quarantined",
  "starting",
  "listening",
  "disabled",
  "new",
  "gone",
] as const;

/** What `kerb device list --state` may be. */
export const stateFilters = ["failing", ...deviceStates] as const;
export type StateFilter = (typeof stateFilters)[number];
