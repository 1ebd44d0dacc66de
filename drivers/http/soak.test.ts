import { readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { driver } from "./index.ts";
import { settings } from "./settings.ts";
import { freePort, json, patient, points, scripted } from "./testing.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const descriptors = (): number => readdirSync("/proc/self/fd").length;

it(
  "2,000 reconnects and 500 subscriptions leave no descriptor, no timer and no memory behind",
  { timeout: 120_000 },
  async () => {
    const server = await scripted((_, socket) => socket.write(json({ v: 1 }, { ETag: '"1"' })));
    const context = { deviceId: "d", log: () => {} };
    const list = points({ path: "/v", pick: "$.v" });
    const hookPort = await freePort();
    const given = settings.parse({
      host: "127.0.0.1",
      port: server.port,
      webhook: {
        listen: `127.0.0.1:${hookPort}`,
        token: "token-of-device-1",
      },
    });
    const sink = { alive: () => {}, readings: () => {}, record: () => {}, poll: () => {} };
    const cycle = async (subscribes: boolean) => {
      const connection = await driver.connect(given, context, patient());
      const stop = new AbortController();
      const subscription = subscribes
        ? connection.subscribe!({ points: [], records: [], sink, signal: stop.signal })
        : undefined;
      expect((await connection.read(list, { signal: patient() })).answers).toHaveLength(1);
      stop.abort();
      await subscription;
      await connection.close();
    };
    const measured = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      server.requests.length = 0;
      collect();
      return {
        descriptors: descriptors(),
        timers: process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length,
        heapKiB: process.memoryUsage().heapUsed / 1024,
      };
    };
    for (let i = 0; i < 1000; i++) await cycle(i % 4 === 0);
    const before = await measured();
    for (let i = 0; i < 2000; i++) await cycle(i % 4 === 0);
    const after = await measured();
    console.log(JSON.stringify({ before, after }));
    expect(server.accepted).toBe(3000);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 1);
    expect(after.timers).toBeLessThanOrEqual(before.timers);
    // A leak of 500 bytes a reconnect would show.
    expect(after.heapKiB - before.heapKiB).toBeLessThan(1000);
  },
);
