import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { askOnce, controlSocket } from "../gateway/cli/site.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import { envelope, kerbProgram, launcher } from "./cli-rig.ts";
import { closePretended, portOf, pretend } from "./pretend.ts";

/** The report of a place on which everybody has died since the last poll: more devices than may ask at once. */

const folder = mkdtempSync(join(tmpdir(), "kerb-report-lost-"));
const file = join(folder, "gateway.yaml");
const meter = "eastron/sdm630";
const units = Array.from({ length: 7 }, (_, index) => index + 1);
const simulators: Awaited<ReturnType<typeof pretend>>[] = [];
let gateway: ChildProcess;

async function areOnline(): Promise<boolean> {
  const status = await askOnce<GatewayStatus>(controlSocket(file), { verb: "status" }).catch(() => undefined);
  return status?.devices.every(({ state }) => state === "online") === true;
}

beforeAll(async () => {
  let port = 0;
  for (const unit of units) {
    const transport = { type: "tcp", host: "127.0.0.1", port };
    simulators.push(await pretend("modbus", meter, { transport, unit }));
    port = portOf(simulators[0]!);
  }
  const devices = units.map((unit) => ({
    id: `meter-${unit}`,
    driver: "modbus",
    profile: meter,
    poll: "1h",
    timeout: "600ms",
    transport: { type: "tcp", host: "127.0.0.1", port },
    unit,
  }));
  const head = { id: "lost", name: "Lost", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway: head, devices }));
  const environment = { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8" };
  gateway = spawn(launcher, ["run", file], { env: environment, stdio: "ignore" });
  while (!(await areOnline())) await sleep(100);
}, 90_000);

afterAll(async () => {
  const ended = once(gateway, "close");
  gateway.kill("SIGKILL");
  await ended;
  await closePretended();
  rmSync(folder, { recursive: true, force: true });
});

it("names each of them with its cause", async () => {
  for (const simulator of simulators) simulator.fault("silent");
  expect(await areOnline()).toBe(true);
  const program = kerbProgram("report", "--json", "--site", file);
  const code = await program.ended;
  const { data, error } = envelope(program.lines.join("\n"));
  expect(error).toBeUndefined();
  expect(code).toBe(6);
  const { problems } = (data as { report: { problems: { object: string; code?: string }[] } }).report;
  const found = new Map(problems.map((one) => [one.object, one.code]));
  expect(units.map((unit) => found.get(`meter-${unit}`))).toEqual(units.map(() => "KERB-NET-HOST"));
}, 120_000);
