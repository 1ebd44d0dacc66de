import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { recordsOf } from "../gateway/commands/testing.ts";
import { start } from "../simulators/snmp/index.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { processTree } from "./bench/measure.ts";
import { envelope, folder, kerbProgram, type Program } from "./cli-rig.ts";

/** A controller as UG405 has it, that falls back by itself two seconds after the centre has last asked for its mode. */

const mode = { oid: "1.3.6.1.4.1.13267.3.2.4.1.0", type: "number" };
const timeout = { oid: "1.3.6.1.4.1.13267.3.2.2.4.0", type: "number" };
const lapseMs = 2000;
const own = join(folder, "refresh");
const file = join(own, "gateway.yaml");

let simulator: Simulator | undefined;
afterEach(() => simulator?.close());

async function controller(): Promise<Simulator> {
  const plain = { scale: 1, offset: 0 };
  return (simulator = await start({
    profile: "test/refresh",
    settings: { host: "127.0.0.1", port: 0, version: "2c" },
    identity: { vendor: "Acme", serial: "A7" },
    points: [
      { ...plain, name: "mode.requested", address: mode, fixed: 2, isWritable: true },
      { ...plain, name: "native.timeout", address: timeout, fixed: lapseMs / 1000 },
    ],
  }));
}

function writeSite(port: number): void {
  const values = { 1: "standalone", 2: "monitor", 3: "utcControl" };
  const write = { leaseMax: "1h", refresh: "250ms" };
  const label = { en: "Mode", vi: "Chế độ" };
  const device = {
    id: "signals-01",
    driver: "snmp",
    host: "127.0.0.1",
    port,
    poll: "200ms",
    write: { allow: ["mode.requested"] },
    points: { "mode.requested": { address: mode, label, kind: "text", values, write } },
  };
  const site = {
    version: 1,
    gateway: { id: "refresh-01", name: "Ngã tư", city: "test", state: "./state" },
    devices: [device],
  };
  mkdirSync(own, { recursive: true });
  writeFileSync(file, JSON.stringify(site));
}

async function running(): Promise<Program> {
  const gateway = kerbProgram("run", file);
  await gateway.line(/signals-01 is online/);
  return gateway;
}

async function shown(): Promise<unknown> {
  const read = kerbProgram("read", "signals-01", "mode.requested", "--json", "--site", file);
  await read.ended;
  return (envelope(read.lines.join("\n")).data["readings"] as { value: unknown }[])[0]?.value;
}

it("is refreshed while the lease lives, without its caller, and falls back by itself when the gateway dies", async () => {
  const device = await controller();
  writeSite(Number(device.address.split(":")[1]));
  const writes = () => device.writes?.all.length ?? 0;
  const gateway = await running();
  const order = ["signals-01", "mode.requested=utcControl", "--for", "10m", "--yes"];
  const caller = kerbProgram("write", ...order, "--site", file, "--json");
  await expect.poll(writes, { timeout: 30_000 }).toBeGreaterThan(1);
  await caller.stop("SIGKILL");
  const before = writes();
  await sleep(1.5 * lapseMs);
  expect(writes()).toBeGreaterThan(before + 2);
  expect(await shown()).toBe("utcControl");

  for (const pid of processTree(gateway.child.pid ?? 0).toReversed()) process.kill(pid, "SIGKILL");
  await gateway.ended;
  const written = writes();
  await sleep(1.2 * lapseMs);
  await running();
  expect(await shown()).toBe("standalone");
  await expect
    .poll(async () => (await recordsOf(join(own, "state", "commands"))).find(({ ev }) => ev === "lease-end"))
    .toMatchObject({ dev: "signals-01", code: "KERB-CMD-LAPSED" });
  // Nothing is said again to whoever has gone back to his own.
  expect(writes()).toBe(written);
}, 60_000);
