import type { KeyObject } from "node:crypto";
import type { Point } from "../profiles/profiles.ts";
import { type CommandValue, issuerKey, leaseMsMax, localIssuer } from "./command.ts";

/** What may be commanded, by whom: the site file's `commands` and its devices' `write`, put together once. */

/** `commands` of a site file. */
export interface CommandsConfig {
  /** `key`: raw Ed25519 public key, 32 bytes in base64. */
  issuers: readonly { id: string; key: string; roles: readonly string[] }[];
  /** Without `points`: all that the devices allow. */
  roles: Readonly<Record<string, { devices: readonly string[]; points?: readonly string[] | undefined }>>;
  /** Of each issuer. */
  ratePerMinute: number;
  /** holdover: a plausible clock is enough to tell whether a command is fresh. */
  clock: "synced" | "holdover";
}

/** `write` of a device of a site file; the limits narrow those of the profile. */
export interface DeviceWrite {
  allow: readonly string[];
  limits?: Readonly<Record<string, { min?: number | undefined; max?: number | undefined }>> | undefined;
  /** Each point is armed by one person and committed by another. */
  confirm?: "two-person" | undefined;
}

/** A device as the policy needs it. */
export interface CommandedDevice {
  id: string;
  class?: string | undefined;
  points: readonly Pick<Point, "name" | "kind" | "values" | "write">[];
  write?: DeviceWrite | undefined;
}

/** A point that may be written, with all that holds for it. Numbers are in the point's unit. */
export interface WritablePoint {
  name: string;
  kind: "number" | "boolean" | "text";
  /** What it can be told instead of a number or a text. */
  words: readonly string[] | undefined;
  least: number;
  most: number;
  /** Multiples of it, counted from `stepFrom`. */
  step: number | undefined;
  stepFrom: number;
  only: readonly CommandValue[] | undefined;
  /** Gives control back to the device: where its leases go back to, and always allowed. */
  automatic: CommandValue | undefined;
  needsArm: boolean;
  isSafety: boolean;
  twoPerson: boolean;
  /** Longest lease; with `alwaysLeased` it goes back after that even where the command asks for none. */
  leaseMsMax: number;
  alwaysLeased: boolean;
  /** How often it is written again while it is leased. */
  refreshMs: number | undefined;
  /** Where it is seen what it is: itself, or another point. */
  shownAt: string;
}

interface Issuer {
  id: string;
  key: KeyObject;
  roles: ReadonlySet<string>;
}

interface Commanded {
  points: ReadonlyMap<string, WritablePoint>;
  /** Points of a signal controller that no configuration opens. */
  driven: ReadonlySet<string>;
}

/** Of a signal controller only this is ever asked for: it decides on its phases by itself. */
const requestable: readonly string[] = ["plan", "plan.requested", "mode", "mode.requested", "lampTest"];

/** Whether a point of this class of device may be commanded at all, whatever profile and site file say. */
export function isPhase(deviceClass: string | undefined, point: string): boolean {
  return deviceClass === "signal-controller" && !requestable.includes(point);
}

function writable(
  { name, kind, values, write }: CommandedDevice["points"][number],
  { limits = {}, confirm }: DeviceWrite,
): WritablePoint | undefined {
  if (write === undefined) return undefined;
  const { min = -Infinity, max = Infinity } = Object.hasOwn(limits, name) ? limits[name]! : {};
  const [least, most] = write.limits ?? [-Infinity, Infinity];
  const twoPerson = confirm === "two-person";
  return {
    name,
    kind,
    words: values === undefined ? undefined : Object.values(values),
    least: Math.max(least, min),
    most: Math.min(most, max),
    step: write.step,
    stepFrom: Number.isFinite(least) ? least : 0,
    only: write.values,
    automatic: write.automatic,
    isSafety: write.safety,
    needsArm: write.safety || twoPerson,
    twoPerson,
    leaseMsMax: write.leaseMax ?? leaseMsMax,
    alwaysLeased: write.leaseMax !== undefined,
    refreshMs: write.refresh,
    shownAt: write.readBack ?? name,
  };
}

export class Policy {
  readonly ratePerMinute: number;
  readonly takesHoldover: boolean;
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #roles: ReadonlyMap<string, { devices: ReadonlySet<string>; points?: ReadonlySet<string> }>;
  readonly #devices: ReadonlyMap<string, Commanded>;

  /** Throws `RangeError` on a key that is none, and on an issuer that takes the name of whoever is on site. */
  constructor(commands: CommandsConfig, devices: readonly CommandedDevice[]) {
    if (commands.issuers.some(({ id }) => id === localIssuer))
      throw new RangeError(`no issuer is called "${localIssuer}"`);
    this.ratePerMinute = commands.ratePerMinute;
    this.takesHoldover = commands.clock === "holdover";
    this.#issuers = new Map(
      commands.issuers.map(({ id, key, roles }) => [id, { id, key: issuerKey(key), roles: new Set(roles) }]),
    );
    this.#roles = new Map(
      Object.entries(commands.roles).map(([role, given]) => [
        role,
        {
          devices: new Set(given.devices),
          ...(given.points === undefined ? {} : { points: new Set(given.points) }),
        },
      ]),
    );
    this.#devices = new Map(devices.map((device) => [device.id, this.#commanded(device)]));
  }

  /** Those whose commands are heard at all. */
  issuer(id: string): Issuer | undefined {
    return this.#issuers.get(id);
  }

  hasDevice(device: string): boolean {
    return this.#devices.has(device);
  }

  /** undefined: it may not be written. */
  point(device: string, point: string): WritablePoint | undefined {
    return this.#devices.get(device)?.points.get(point);
  }

  isDriven(device: string, point: string): boolean {
    return this.#devices.get(device)?.driven.has(point) === true;
  }

  /** Whether a role has a point of a device. */
  allows(role: string, device: string, point: string): boolean {
    const given = this.#roles.get(role);
    if (given === undefined || !given.devices.has(device)) return false;
    return given.points === undefined || given.points.has(point);
  }

  #commanded({ class: deviceClass, points, write }: CommandedDevice): Commanded {
    const allowed = new Set(write?.allow);
    const driven = points.filter(({ name }) => isPhase(deviceClass, name)).map(({ name }) => name);
    const open = new Map<string, WritablePoint>();
    for (const point of points) {
      const made = write === undefined || !allowed.has(point.name) ? undefined : writable(point, write);
      if (made !== undefined && !driven.includes(point.name)) open.set(point.name, made);
    }
    return { points: open, driven: new Set(driven) };
  }
}
