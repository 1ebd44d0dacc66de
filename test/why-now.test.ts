import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askOnce, controlSocket } from "../gateway/cli/site.ts";
import { DeviceError } from "../gateway/driver.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { envelope, kerbProgram, launcher } from "./cli-rig.ts";
import type { Place } from "./contract/contract.ts";
import { serialLine } from "./contract/serial-line.ts";
import { closePretended, portOf, pretend } from "./pretend.ts";

/** Devices that die right after their poll: their gateway calls them online for another hour, and `kerb why` does not. */

const folder = mkdtempSync(join(tmpdir(), "kerb-now-"));
const file = join(folder, "gateway.yaml");
const meter = "eastron/sdm630";
/** Read by a single request. */
const voltage = {
  label: { en: "voltage", vi: "điện áp" },
  unit: "V",
  kind: "number",
  address: { table: "input", register: 0, type: "float32" },
  source: "a trial",
  certainty: "to-verify",
};
const serial = serialLine("rtu", (port) => ({ transport: { type: "rtu", port, baud: 9600 } }));
if (serial.missing !== undefined) console.warn(`skipped: ${serial.missing}`);
const simulators = new Map<string, Simulator>();
let gateway: ChildProcess;
let line: Place | undefined;

async function device(id: string, unit: number, at?: Simulator) {
  const port = at === undefined ? 0 : portOf(at);
  const transport = { type: "tcp", host: "127.0.0.1", port };
  const simulator = await pretend("modbus", meter, { transport, unit });
  simulators.set(id, simulator);
  return { id, unit, transport: { ...transport, port: portOf(simulator) } };
}

async function onTheLine(id: string) {
  if (serial.missing !== undefined) return [];
  line = await serial.open();
  const wanted = { device: 1, timeoutMs: 600, at: undefined };
  const simulator = await pretend("modbus", meter, line.settings({ ...wanted, end: "simulator" }));
  simulators.set(id, simulator);
  return [{ id, ...line.settings({ ...wanted, end: "driver" }) }];
}

beforeAll(async () => {
  const near = await device("near-dead", 1);
  const mate = await device("far-dead", 2, simulators.get("near-dead"));
  const lone = await device("lone-unit", 1);
  const living = await device("living-unit", 2, simulators.get("lone-unit"));
  const devices = [
    await device("gone", 1),
    await device("gone-unasked", 1),
    await device("mute", 1),
    await device("well", 1),
    { ...(await device("one-lost", 1)), timeout: "7s", profile: undefined, points: { voltage } },
    near,
    mate,
    lone,
    living,
    ...(await onTheLine("line-mute")),
  ].map((one) => ({ driver: "modbus", profile: meter, poll: "1h", timeout: "600ms", ...one }));
  const head = { id: "now", name: "Now", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway: head, devices }));
  const environment = { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8" };
  gateway = spawn(launcher, ["run", file], { env: environment, stdio: "ignore" });
  while ((await states()).some(({ state }) => state !== "online")) await sleep(100);
}, 60_000);

afterAll(async () => {
  const ended = once(gateway, "close");
  gateway.kill("SIGKILL");
  await ended;
  await closePretended();
  await line?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function states() {
  // A gateway that has just started has no status yet.
  const status = await askOnce<GatewayStatus>(controlSocket(file), { verb: "status" }).catch(() => undefined);
  return status?.devices.map(({ id, state }) => ({ id, state })) ?? [{ id: "all", state: "starting" }];
}

async function why(id: string) {
  const program = kerbProgram("why", id, "--json", "--site", file);
  const code = await program.ended;
  const { data } = envelope(program.lines.join("\n"));
  return {
    code,
    state: data["state"],
    causes: (data["causes"] as { code: string }[]).map((one) => one.code),
  };
}

async function harmed(id: string, how: "silent" | "gone"): Promise<void> {
  if (how === "silent") simulators.get(id)?.fault("silent");
  else await simulators.get(id)?.close();
  // The gateway has not noticed.
  expect(await states()).toContainEqual({ id, state: "online" });
}

describe("kerb why of a device that has died since its poll", { timeout: 60_000 }, () => {
  it("says that all holds of one that answers", async () => {
    expect(await why("well")).toEqual({ code: 0, state: "online", causes: [] });
  });

  it("takes one lost answer for no loss, however long it was waited for", async () => {
    const simulator = simulators.get("one-lost");
    const asked = simulator?.counts.requests ?? Infinity;
    await harmed("one-lost", "silent");
    const said = why("one-lost");
    await expect.poll(() => simulator?.counts.requests, { timeout: 20_000 }).toBeGreaterThan(asked);
    simulator?.fault(undefined);
    expect(await said).toEqual({ code: 0, state: "online", causes: [] });
  });

  it("names the port where nothing listens any more", async () => {
    await harmed("gone", "gone");
    expect(await why("gone")).toEqual({ code: 6, state: "lost", causes: ["KERB-NET-PORT"] });
  });

  it("names it in the report as well", async () => {
    await harmed("gone-unasked", "gone");
    const program = kerbProgram("report", "--json", "--site", file);
    expect(await program.ended).toBe(6);
    const { report } = envelope(program.lines.join("\n")).data as { report: { problems: object[] } };
    expect(report.problems).toContainEqual(
      expect.objectContaining({ object: "gone-unasked", code: "KERB-NET-PORT", severity: "blocking" }),
    );
  });

  it("names the silence of one that takes connections, and the gateway has lost it from then on", async () => {
    await harmed("mute", "silent");
    expect(await why("mute")).toEqual({ code: 6, state: "lost", causes: ["KERB-MB-SILENT"] });
    await expect.poll(states, { timeout: 20_000 }).toContainEqual({ id: "mute", state: "lost" });
  });

  it("takes no neighbour for alive that was read before, and has died with it", async () => {
    await harmed("near-dead", "silent");
    await harmed("far-dead", "silent");
    expect(await why("near-dead")).toEqual({ code: 6, state: "lost", causes: ["KERB-NET-HOST"] });
  });

  it("names the unit where its neighbour answers now", async () => {
    await harmed("lone-unit", "silent");
    expect(await why("lone-unit")).toEqual({ code: 6, state: "lost", causes: ["KERB-MB-UNIT"] });
  });

  it.skipIf(serial.missing !== undefined)("names the dead line that the gateway has to itself", async () => {
    await harmed("line-mute", "silent");
    expect(await why("line-mute")).toEqual({ code: 6, state: "lost", causes: ["KERB-LINE-SILENT"] });
  });
});

it("the control socket says how the device has failed, with its code", async () => {
  await harmed("well", "silent");
  const read = { verb: "read", args: { device: "well", points: [], raw: false } };
  const error = await askOnce(controlSocket(file), read).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DeviceError);
  expect(error).toMatchObject({ code: "silent" });
  const other = { verb: "read", args: { device: "nobody", points: [], raw: false } };
  const refusal = await askOnce(controlSocket(file), other).catch((thrown: unknown) => thrown);
  expect(refusal).toMatchObject({ name: "Error", message: expect.stringContaining("no device") as string });
});
