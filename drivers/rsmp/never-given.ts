/**
 * Commands that drive phases: by signal group, route or priority, by forced inputs, detectors or outputs (SXL for
 * traffic lights). No profile and no setting allows them.
 */
export const neverGiven: readonly string[] = [
  "M0005",
  "M0006",
  "M0008",
  "M0010",
  "M0011",
  "M0012",
  "M0013",
  "M0019",
  "M0020",
  "M0021",
  "M0022",
];
