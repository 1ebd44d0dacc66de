/** What `kerb device list --state` may be; apart, so that the command line need not load the verb. */
export const stateFilters = [
  "failing",
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
export type StateFilter = (typeof stateFilters)[number];
