import { DeviceError, type Driver, type ReadResult } from "../driver.ts";
import { nextOf, ownPoints, ownTimes, type Group } from "./groups.ts";
import { withFactors } from "./identify.ts";
import type { HostDevice, HostPoint, LatestReading } from "./messages.ts";
import { inOrder, Normaliser, shownReadings } from "./normalise.ts";
import type { Push } from "./push.ts";

interface Asked {
  driver: Driver<unknown, unknown>;
  device: Pick<HostDevice, "points" | "firstIndex">;
  groups: readonly Group[];
  push: Push | undefined;
  /** Bits of the doubt about the whole device. */
  extraQuality: number;
  /** Reads between polls; not called where there is nothing to ask for. */
  read: (points: readonly HostPoint[]) => Promise<ReadResult>;
  connected: () => void;
  /** The connection was lost: another one is wanted now, and not when the next poll is due, in an hour it may be. */
  reopen: () => void;
}

/** The named points, or all, read now; what is pushed cannot be asked for and is shown with the age that it has. */
export async function readNow(
  { driver, device, groups, push, extraQuality, read, connected, reopen }: Asked,
  names: readonly string[],
): Promise<LatestReading[]> {
  const isWanted = ({ point }: LatestReading) => names.length === 0 || names.includes(point);
  const pushed = (push?.shown(driver, true) ?? []).filter(isWanted);
  const points = withFactors(ownPoints(groups), names);
  if (points.length === 0) {
    connected();
    return inOrder(device.points, pushed);
  }
  const normaliser = new Normaliser(points, device.firstIndex);
  normaliser.extraQuality = extraQuality;
  const result = await read(points).catch((error: unknown) => {
    if (!(error instanceof DeviceError && error.code === "closed")) {
      // A connection that opens says little of a device: the next poll does, and is wanted now.
      const next = nextOf(groups);
      if (next !== undefined) next.dueMs = Math.min(next.dueMs, performance.now());
      reopen();
    }
    throw error;
  });
  const shown = shownReadings(driver, points, normaliser, result, ownTimes(Date.now()));
  return inOrder(device.points, [...pushed, ...shown.filter(isWanted)]);
}
