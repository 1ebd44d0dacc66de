import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deviceId, meterPoints, numberPoint } from "./device-shape.ts";

export interface SiteOptions {
  folder: string;
  brokerPort: number;
  ports: readonly number[];
  pollMs: number;
  requestsInFlight: number;
  outboxBytesMax: string;
  encoding: "columnar" | "cloudevents";
  /** `commands` of the site file, and devices beside the meters. */
  more?: { commands: Record<string, unknown>; devices: readonly Record<string, unknown>[] } | undefined;
}

export const city = "bench";
export const gatewayId = "bench-gateway";

/** Writes a site file with one file for each device, points in full; returns the site file's path. */
export function writeSite({
  folder,
  brokerPort,
  ports,
  pollMs,
  requestsInFlight,
  outboxBytesMax,
  encoding,
  more,
}: SiteOptions): string {
  const site = {
    version: 1,
    gateway: { id: gatewayId, name: "Bench", city, state: "state" },
    uplinks: [{ id: "ioc", type: "mqtt", url: `mqtt://127.0.0.1:${brokerPort}`, encoding }],
    outbox: { sizeMax: outboxBytesMax },
    log: { level: "warn" },
    include: ["devices.d/*.yaml"],
    ...more,
  };
  mkdirSync(join(folder, "devices.d"), { recursive: true });
  // JSON is YAML.
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, JSON.stringify(site, undefined, 1));
  const points = Object.fromEntries([
    [numberPoint, { address: { table: "holding", register: 0, type: "uint32" } }],
    ...meterPoints.map(({ point, unit, type, decimals, register }) => [
      point,
      { address: { table: "holding", register, type }, unit, scale: Number(`1e-${decimals}`) },
    ]),
  ]);
  ports.forEach((port, index) => {
    const device = {
      id: deviceId(index),
      driver: "modbus",
      poll: `${pollMs}ms`,
      transport: { type: "tcp", host: "127.0.0.1", port },
      unit: 1,
      requestsInFlight,
      points,
    };
    writeFileSync(
      join(folder, "devices.d", `${deviceId(index)}.yaml`),
      JSON.stringify({ devices: [device] }, undefined, 1),
    );
  });
  return file;
}
