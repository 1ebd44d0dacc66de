import type { z } from "zod";
import type { DeviceConfig } from "./devices.ts";
import type { siteSchema } from "./site-schema.ts";

/**
 * What a change of a key does to a gateway that runs. none: nothing that runs knows it · names: only what people and
 * the IOC read, or who may write · poll: the device goes on at another pace · device: it is stopped and started ·
 * gateway: everything is.
 */
export type Effect = "none" | "names" | "poll" | "device" | "gateway";

/** From the least to the most. */
export const effects: readonly Effect[] = ["none", "names", "poll", "device", "gateway"];

type SiteKey = keyof z.input<typeof siteSchema>;

/** Of the site file's keys; `gateway.name`, `gateway.timeZone` and `gateway.location` are told apart from the rest of `gateway`. */
export const siteEffects = {
  version: "none",
  gateway: "gateway",
  "gateway.name": "names",
  "gateway.timeZone": "names",
  "gateway.location": "none",
  outbox: "gateway",
  uplinks: "gateway",
  privacy: "gateway",
  commands: "names",
  twin: "names",
  log: "gateway",
  health: "gateway",
  include: "none",
  devices: "none",
} as const satisfies Record<SiteKey | "gateway.name" | "gateway.timeZone" | "gateway.location", Effect>;

/** Of a device, as it is once it is checked. */
export const deviceEffects = {
  id: "device",
  name: "names",
  driver: "device",
  enabled: "device",
  profile: "device",
  class: "device",
  location: "names",
  levels: "names",
  firmwareRange: "device",
  serial: "device",
  write: "names",
  schedules: "names",
  identifyMs: "device",
  settings: "device",
  identify: "device",
  identity: "none",
  pollMs: "poll",
  points: "device",
  records: "device",
  alarms: "device",
  localOverride: "device",
  silenceMs: "device",
  place: "none",
} as const satisfies Record<keyof DeviceConfig, Effect>;
