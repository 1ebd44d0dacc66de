import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { driver } from "../../drivers/modbus/index.ts";
import { address, settings } from "../../drivers/modbus/settings.ts";
import type { WriteOutcome } from "../../gateway/host/messages.ts";
import { pointLike } from "../../gateway/host/test-point.ts";
import { Host } from "../../gateway/hosts.ts";
import { start } from "../../simulators/modbus/index.ts";

/** How long a write takes through a host and back: look, write, read back over Modbus TCP on the loopback. */

const writes = 200;
const level = address.parse({ table: "holding", register: 0 });
const transport = { type: "tcp" as const, host: "127.0.0.1", port: 0 };
const simulator = await start({
  profile: "bench",
  identity: {},
  settings: { transport },
  points: [{ name: "level", address: level, scale: 1, offset: 0 }],
});
const port = Number(/:(\d+) unit/.exec(simulator.address)?.[1]);
const folder = mkdtempSync(join(tmpdir(), "kerb-bench-"));
const host = new Host({
  driver: driver.name,
  folder,
  devices: [
    {
      id: "pump",
      index: 2,
      settings: settings.parse({ transport: { ...transport, port }, functions: [3, 6] }),
      identify: undefined,
      firmwareRange: "*",
      records: [],
      silenceMs: 0,
      personalData: { how: "drop" },
      pollMs: { fast: 60_000, normal: 60_000, slow: 60_000 },
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
host.start();
while (host.status.state !== "running") await sleep(20);
await sleep(1500);

const tookMs: number[] = [];
for (let i = 0; i < writes; i++) {
  const startedAt = performance.now();
  const request = { name: "write", device: "pump", point: "level", value: i, timeoutMs: 5000 } as const;
  const { state, reason } = (await host.request(request)) as WriteOutcome;
  tookMs.push(performance.now() - startedAt);
  if (state !== "done") throw new Error(`write ${i}: ${state}: ${reason}`);
}
tookMs.sort((a, b) => a - b);
const at = (share: number) => (tookMs[Math.floor(share * (writes - 1))] ?? 0).toFixed(2);
process.stdout.write(
  `${writes} writes, ${simulator.writes?.all.length} on the wire: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(1)} ms\n`,
);
await host.stop();
await simulator.close();
rmSync(folder, { recursive: true });
