import { type EventReading, type KerbEvent } from "../../gateway/event.ts";
import type { KnownDevice } from "../../gateway/receiver/device-state.ts";
import { project } from "../../gateway/receiver/ngsi-ld/project.ts";
import { keyValues } from "../../gateway/receiver/ngsi-ld/write.ts";
import { problemOf, strictChecks } from "./smart-data-models.ts";

/** Devices and events of a made-up site, and their entities. */

export const checks = strictChecks();
const place = { lat: 21.8537, lon: 106.7615 };
export const atMs = Date.parse("2026-11-21T07:00:00+07:00");

export type Plain = Record<string, unknown> & { id: string; type: string };

export function known(className: string, more: Partial<KnownDevice> = {}): KnownDevice {
  return { gateway: "kerb-ls-001", id: "dev-01", class: className, name: "A device", place, ...more };
}

export function event(readings: Partial<EventReading>[], more: Partial<KerbEvent> = {}): KerbEvent {
  return {
    gateway: "kerb-ls-001",
    epoch: 1,
    seq: 1,
    kind: "telemetry",
    device: "dev-01",
    timeMs: atMs,
    recordedMs: atMs + 1000,
    clock: "synced",
    readings: readings.map((one) => ({
      point: "x",
      unit: "1",
      value: 1,
      quality: 0,
      timeMs: more.timeMs ?? atMs,
      ...one,
    })),
    ...more,
  };
}

export const plain = (of: ReturnType<typeof project>): Plain[] =>
  of.entities.map((entity) => keyValues(entity) as Plain);
export const ofType = (of: ReturnType<typeof project>, type: string) =>
  plain(of).find((one) => one.type === type);
export const problems = (of: ReturnType<typeof project>) =>
  plain(of).flatMap((one) => problemOf(checks, one) ?? []);
