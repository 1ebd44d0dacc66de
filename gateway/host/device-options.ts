import type { Driver, DriverContext } from "../driver.ts";
import type { Handover } from "./handover.ts";
import type { Line } from "./line.ts";
import type { DeviceReport, HostDevice } from "./messages.ts";

/** What a device loop is made of. */
export interface DeviceOptions {
  driver: Driver<unknown, unknown>;
  device: HostDevice;
  line: Line | undefined;
  handover: Handover;
  context: DriverContext;
  /** Place of this device among its host's, 0 to 1: spreads the polls over the period. */
  phase: number;
  changed(report: DeviceReport): void;
  /** The device has its line from here on. */
  turn?(): void;
}
