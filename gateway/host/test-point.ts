import type { HostPoint } from "./messages.ts";

/** A point of which nothing is told but what the test is about. */
export function pointLike(more: Partial<HostPoint> & Pick<HostPoint, "name">): HostPoint {
  return {
    index: 0,
    address: {},
    unit: "1",
    kind: "number",
    scale: 1,
    offset: 0,
    sentinels: [],
    heartbeat: 300_000,
    poll: "normal",
    publish: true,
    ...more,
  };
}
