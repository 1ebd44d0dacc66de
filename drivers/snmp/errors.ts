import { DeviceError, type DeviceErrorCode } from "../../gateway/driver.ts";

export const aborted = (place: string): DeviceError => new DeviceError("aborted", `${place}: given up`);
export const closed = (place: string): DeviceError => new DeviceError("closed", `${place}: closed`);

/** SNMPv3: what was known of the device's engine holds no more; `isUndone`: it has not done what it was asked. */
export class EngineLost extends DeviceError {
  readonly isUndone: boolean;
  constructor(code: DeviceErrorCode, message: string, isUndone: boolean) {
    super(code, message);
    this.isUndone = isUndone;
  }
}

/** Error-status by number: RFC 3416, 3. */
const names = [
  "noError",
  "tooBig",
  "noSuchName",
  "badValue",
  "readOnly",
  "genErr",
  "noAccess",
  "wrongType",
  "wrongLength",
  "wrongEncoding",
  "wrongValue",
  "noCreation",
  "inconsistentValue",
  "resourceUnavailable",
  "commitFailed",
  "undoFailed",
  "authorizationError",
  "notWritable",
  "inconsistentName",
];

export const tooBig = 1;
export const noSuchName = 2;
export const genErr = 5;
export const notWritable = 17;
/** Of a set: part of it may have been done (RFC 3416, 4.2.5). */
export const halfDone: readonly number[] = [genErr, 14, 15];

export const statusName = (status: number): string => names[status] ?? `error-status-${status}`;

/** The device has answered a request with an error-status. */
export class Refusal extends Error {
  readonly status: number;
  /** The object at fault, where the device names one. */
  readonly oid: string | undefined;
  constructor(status: number, oid: string | undefined) {
    super(statusName(status));
    this.name = "Refusal";
    this.status = status;
    this.oid = oid;
  }
}
