import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, expect, test } from "vitest";
import type { Simulator, StartSimulator } from "../../simulators/simulator.ts";
import { Host } from "../hosts.ts";
import type { WriteOutcome } from "./messages.ts";
import { pointLike } from "./test-point.ts";

/** Writes through the process in which a driver runs, as the gateway asks for them. */

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function setUp(): Promise<{ host: Host; simulator: Simulator; folder: string }> {
  const name = "modbus";
  const { start } = (await import(`../../simulators/${name}/index.ts`)) as { start: StartSimulator };
  const { settings, address } = (await import(`../../drivers/${name}/settings.ts`)) as Record<
    "settings" | "address",
    { parse(value: unknown): Record<string, unknown> }
  >;
  const level = address.parse({ table: "holding", register: 0 });
  const simulator = await start({
    profile: "test/device",
    identity: {},
    settings: { transport: { type: "tcp", host: "127.0.0.1", port: 0 } },
    points: [{ name: "level", address: level, scale: 1, offset: 0 }],
  });
  cleanups.push(() => simulator.close());
  const folder = mkdtempSync(join(tmpdir(), "kerb-writing-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const port = Number(/:(\d+) unit/.exec(simulator.address)?.[1]);
  const host = new Host({
    driver: "modbus",
    folder,
    devices: [
      {
        id: "pump",
        index: 2,
        settings: settings.parse({ transport: { type: "tcp", host: "127.0.0.1", port }, functions: [3, 6] }),
        identify: undefined,
        firmwareRange: "*",
        records: [],
        silenceMs: 0,
        personalData: { how: "drop" },
        pollMs: { fast: 1000, normal: 1000, slow: 1000 },
        points: [pointLike({ name: "level", address: level, write: { interlock: [] } })],
      },
    ],
    gatewayIndex: 1,
    log: pino({ level: "silent" }),
    frames: () => {},
    changed: () => {},
    quarantined: () => {},
    failed: () => {},
    returned: () => {},
  });
  cleanups.push(() => host.stop());
  host.start();
  await running(host);
  return { host, simulator, folder };
}

async function running(host: Host): Promise<void> {
  const isOnline = async () => {
    const reports = (await host.request({ name: "devices" }).catch(() => [])) as { state: string }[];
    return reports[0]?.state;
  };
  await expect.poll(isOnline, { timeout: 15_000 }).toBe("online");
}

const write = (host: Host, value: number): Promise<WriteOutcome> =>
  host.request({
    name: "write",
    device: "pump",
    point: "level",
    value,
    timeoutMs: 5000,
  }) as Promise<WriteOutcome>;

test("a host that dies over a write leaves the asker without an answer, and writes nothing when it is back", async () => {
  const { host, simulator } = await setUp();
  expect(await write(host, 5)).toMatchObject({ state: "done", before: 0, readBack: 5 });
  const asked = { name: "write", device: "ghost", point: "level", value: 1, timeoutMs: 1000 } as const;
  expect(await host.request(asked)).toMatchObject({ state: "failed", code: "no-such-device" });

  const { pid } = host.status;
  simulator.writes!.heard = () => process.kill(pid ?? 0, "SIGKILL");
  await expect(write(host, 6)).rejects.toThrow();
  simulator.writes!.heard = undefined;
  await running(host);
  expect(simulator.writes!.all.map(({ what }) => what)).toEqual([
    "function 6 holding 0 = 0005",
    "function 6 holding 0 = 0006",
  ]);
  expect(await write(host, 7)).toMatchObject({ state: "done", before: 6 });
}, 40_000);
