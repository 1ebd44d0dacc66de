import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DeviceConfig, loadSite } from "../gateway/config/config.ts";
import { listDrivers } from "../gateway/config/drivers.ts";
import type { KerbEvent } from "../gateway/event.ts";
import { listProfiles, loadProfile } from "../gateway/profiles/profiles.ts";
import type { Certificate } from "../gateway/receiver/certificates.ts";
import { Gateway, Program } from "./interop/processes.ts";
import { freePort } from "./ports.ts";
import { problemOf, strictChecks } from "./interop/smart-data-models.ts";

/**
 * The worked sites as a person starts them: `kerb simulate`, `kerb run`, a broker and `kerb receive`, each in a
 * process of its own. Only ports and folders are others, so that a demo may run beside the test.
 */

const root = fileURLToPath(new URL("..", import.meta.url));
const kerb = join(root, "gateway", "kerb");
const folder = mkdtempSync(join(tmpdir(), "kerb-sites-"));
const names = globSync("*.yaml", { cwd: join(root, "config/sites") }).map((file) => basename(file, ".yaml"));

/** The device that is pulled out, and what the pretend devices have in clear. */
const pulled = { site: "district", device: "wim-01" };
const personal = [
  "51C-123.45",
  "51R-067.89",
  "51F-123.45",
  "Nguyễn Văn An",
  "790123456789",
  "pretend vehicle",
];
const clear = [...personal, ...personal.map((text) => text.replaceAll(/[-.]/g, ""))];

interface Running {
  id: string;
  file: string;
  devices: DeviceConfig[];
  simulators: Program[];
  gateway: Gateway;
  readyMs: number;
}

const sites = new Map<string, Running>();
const programs: Program[] = [];
let api = "";

function start(...argument: string[]): Program {
  const program = new Program(kerb, argument);
  programs.push(program);
  return program;
}

/** A copy of a worked site with free ports in place of its own. */
async function copied(name: string, brokerPort: number): Promise<string> {
  let text = readFileSync(join(root, "config/sites", `${name}.yaml`), "utf8");
  text = text.replaceAll("mqtt://127.0.0.1:18830", `mqtt://127.0.0.1:${brokerPort}`);
  text = text.replace("sealEvery: 1m", "sealEvery: 5s");
  for (const port of new Set(text.match(/\b15\d{3}\b/g)))
    text = text.replaceAll(new RegExp(`\\b${port}\\b`, "g"), String(await freePort()));
  const file = join(folder, "config/sites", `${name}.yaml`);
  writeFileSync(file, text);
  return file;
}

async function simulate(file: string, devices: readonly string[]): Promise<Program> {
  const program = start("simulate", "--site", file, "--device", ...devices);
  await program.linesOf((line) => / {3}at \S/.test(line), devices.length, 90_000);
  return program;
}

async function run(name: string, brokerPort: number): Promise<Running> {
  const file = await copied(name, brokerPort);
  const { gateway: own, devices } = await loadSite(file);
  const apart = devices.map(({ id }) => id).filter((id) => name === pulled.site && id === pulled.device);
  const rest = devices.map(({ id }) => id).filter((id) => !apart.includes(id));
  const simulators = await Promise.all(
    [rest, apart].filter((ids) => ids.length > 0).map((ids) => simulate(file, ids)),
  );
  const program = start("run", file);
  await program.line((line) => line.includes("is running"), 90_000);
  const gateway = new Gateway(program, join(own.stateFolder, "kerb.sock"));
  return { id: own.id, file, devices, simulators, gateway, readyMs: performance.now() };
}

beforeAll(async () => {
  mkdirSync(join(folder, "config/sites"), { recursive: true });
  cpSync(join(root, "config/sites/secrets"), join(folder, "config/sites/secrets"), { recursive: true });
  const port = await freePort();
  const broker = start("simulate", "broker", "--port", String(port));
  await broker.line((line) => line.includes("broker"));
  const at = ["--broker", `mqtt://127.0.0.1:${port}`, "--city", "demo", "--listen", "127.0.0.1:0"];
  const how = ["--database", join(folder, "receiver.db"), "--ack-interval", "500ms", "--json"];
  const receiver = start("receive", ...at, ...how);
  const line = await receiver.line((one) => one.includes('"started"'));
  api = (JSON.parse(line) as { url: string }).url;
  const running = await Promise.all(names.map((name) => run(name, port)));
  for (const [i, name] of names.entries()) sites.set(name, running[i]!);
}, 200_000);

afterAll(async () => {
  await Promise.all(programs.map((program) => program.stop()));
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

/** Everything that the operations centre has of a gateway. */
async function delivered(gateway: string): Promise<KerbEvent[]> {
  const events: KerbEvent[] = [];
  let query = "";
  for (;;) {
    const answer = await fetch(`${api}/gateways/${gateway}/events?limit=1000${query}`);
    if (!answer.ok) return events;
    const page = (await answer.json()) as {
      events: KerbEvent[];
      next: { epoch: number; after: number } | null;
    };
    events.push(...page.events);
    if (page.next === null) return events;
    query = `&epoch=${page.next.epoch}&after=${page.next.after}`;
  }
}

async function allDelivered(): Promise<KerbEvent[]> {
  return (await Promise.all([...sites.values()].map(({ id }) => delivered(id)))).flat();
}

const kindsOf = async (gateway: string) =>
  [...new Set((await delivered(gateway)).map(({ kind }) => kind))].toSorted();

/** `kerb VERB … --json` of a running site: its exit code and its data. */
async function asked(...argument: string[]): Promise<{ code: number | null; data: unknown }> {
  const program = start(...argument, "--json");
  const line = await program.line((one) => one.startsWith('{"api"'), 20_000);
  await expect.poll(() => program.isRunning, { timeout: 10_000 }).toBe(false);
  return { code: program.child.exitCode, data: (JSON.parse(line) as { data: unknown }).data };
}

/** The NGSI-LD view of a gateway, simplified. */
const entities = async (gateway: string) => {
  const answer = await fetch(`${api}/ngsi-ld/v1/entities?options=keyValues&limit=1000&gateway=${gateway}`);
  return (await answer.json()) as ({ type: string; id: string } & Record<string, unknown>)[];
};

/** None of the pretend devices, which know everything in clear. */
const isKerb = ({ child }: Program): boolean =>
  [...sites.values()].every(({ simulators }) => simulators.every((one) => one.child !== child));

const ofSelf = ["telemetry", "state", "alarm", "transaction"];

describe("the worked sites", () => {
  test("are the three that the documents name", () => {
    expect(names.toSorted()).toEqual(["air-and-water", "district", "junction"]);
  });

  test.each(names)(
    "%s: every device is online and what it tells arrives",
    { timeout: 90_000 },
    async (name) => {
      const { id, devices, gateway, readyMs } = sites.get(name)!;
      await gateway.until((status) => status.devices.every(({ state }) => state === "online"), 60_000);
      console.log(`${name}: all online within ${((performance.now() - readyMs) / 1000).toFixed(1)} s`);
      const tellers = async () =>
        new Set(
          (await delivered(id)).filter(({ kind }) => ofSelf.includes(kind)).map(({ device }) => device),
        );
      await expect
        .poll(async () => [...(await tellers())].toSorted(), { timeout: 30_000, interval: 500 })
        .toEqual(devices.map((device) => device.id).toSorted());
    },
  );

  test("a device that dies is told as lost, with its gap, and comes back", { timeout: 60_000 }, async () => {
    const { id, file, simulators, gateway } = sites.get(pulled.site)!;
    const stateOf = async () =>
      (await gateway.status()).devices.find((one) => one.id === pulled.device)?.state;
    const told = async () =>
      (await delivered(id))
        .filter(({ device, kind }) => device === pulled.device && ["device-status", "gap"].includes(kind))
        .map(({ kind, data = {} }) => {
          const { state, cause, open } = data as { state?: string; cause?: string; open?: boolean };
          return state === undefined ? `${kind} ${cause} open ${open}` : `${kind} ${state}`;
        });
    simulators[1]!.child.kill("SIGKILL");
    await expect.poll(stateOf, { timeout: 15_000 }).toBe("lost");
    await expect.poll(told, { timeout: 15_000 }).toContain("device-status lost");
    await expect.poll(told, { timeout: 15_000 }).toContain("gap device_offline open true");
    expect((await gateway.status()).devices.filter(({ state }) => state === "lost")).toHaveLength(1);
    simulators[1] = await simulate(file, [pulled.device]);
    await expect.poll(stateOf, { timeout: 40_000 }).toBe("online");
    await expect.poll(told, { timeout: 15_000 }).toContain("gap device_offline open false");
    expect((await told()).filter((one) => one === "device-status online").length).toBeGreaterThan(1);
  });

  // What the schedule of the lamps writes tells `command-result`.
  test("every kind of event arrives from the district alone", { timeout: 100_000 }, async () => {
    await expect
      .poll(() => kindsOf(sites.get("district")!.id), { timeout: 90_000, interval: 1000 })
      .toEqual(["alarm", "command-result", "device-status", "gap", "state", "telemetry", "transaction"]);
  });

  test(
    "every device is an entity of the NGSI-LD view, and each passes its model strictly",
    { timeout: 60_000 },
    async () => {
      const checks = strictChecks();
      for (const { id, devices } of sites.values()) {
        const devicesOf = async () =>
          (await entities(id)).flatMap(({ type, id: urn }) =>
            type === "Device" ? (urn.split(":")[4] ?? "") : [],
          );
        await expect.poll(devicesOf, { timeout: 10_000 }).toEqual(devices.map((one) => one.id).toSorted());
        const found = await entities(id);
        expect(found.flatMap((one) => problemOf(checks, one) ?? [])).toEqual([]);
        for (const one of found) expect([one.id, one["location"]]).toMatchObject([one.id, { type: "Point" }]);
      }
      const all = (await Promise.all([...sites.values()].map(({ id }) => entities(id)))).flat();
      const types = [...new Set(all.map(({ type }) => type))].toSorted();
      console.log(`${all.length} entities of the types ${types.join(", ")}`);
      expect(types).toEqual(
        expect.arrayContaining([
          "Camera",
          "Device",
          "DeviceMeasurement",
          "FloodMonitoring",
          "SmartMeteringObservation",
          "TrafficSignalController",
          "VehicleWeighing",
          "WasteContainer",
          "WeatherObserved",
        ]),
      );
      expect(
        all.find(({ id }) => id === "urn:ngsi-ld:FloodMonitoring:demo-air-water:level-02"),
      ).toMatchObject({
        name: "Mực nước kênh (ra-đa)",
        location: { type: "Point", coordinates: [106.6811, 10.7912] },
        alertLevel: 1.8,
        referenceLevel: 4,
      });
      expect(JSON.stringify(all)).not.toContain("hmac-sha256");
    },
  );

  test("the district has every class over every driver, and each tells its model's names", async () => {
    const { id, devices } = sites.get("district")!;
    const classes = new Set(listProfiles().map((profile) => loadProfile(profile).class));
    expect(new Set(devices.map((device) => device.class))).toEqual(classes);
    expect([...new Set(devices.map(({ driver }) => driver))].toSorted()).toEqual(listDrivers());
    const points = (await delivered(id)).flatMap(({ device, readings = [] }) =>
      readings.map(({ point }) => `${device} ${point}`),
    );
    expect(points).toEqual(
      expect.arrayContaining([
        "meter-01 activePower.total",
        "quality-01 pH",
        "light-01 lightOn.group1",
        "signal-01 signalState.group1",
        "detector-01 vehicleCount.lane1",
        "detector-01 presence.lane1",
        "ups-01 battery.charge",
        "router-01 signalStrength",
      ]),
    );
  });

  test(
    "the district's books close, and each period is certified as complete",
    { timeout: 150_000 },
    async () => {
      const { id, file, devices } = sites.get("district")!;
      interface Books {
        closes: boolean;
        lines: { device: string; accepted: number; dropped: Record<string, number> }[];
        lost: Record<string, number>;
      }
      const told = async () => {
        const { lines } = (await asked("books", "--site", file)).data as Books;
        return lines.filter(({ accepted }) => accepted > 0).map(({ device }) => device);
      };
      await expect
        .poll(told, { timeout: 60_000, interval: 1000 })
        .toEqual(expect.arrayContaining(devices.map((device) => device.id)));
      const { code, data } = await asked("books", "--site", file);
      const { closes, lost, lines } = data as Books;
      expect({ code, closes, lost }).toEqual({ code: 0, closes: true, lost: {} });
      expect(lines.filter(({ dropped }) => Object.keys(dropped).length > 0)).toEqual([]);
      const certified = async () => {
        const { data: page } = await asked("certificate", id, "--url", api);
        return (page as { certificates: Certificate[] }).certificates;
      };
      const startedMs = Date.now();
      // The newest may still wait for its seal.
      const over = async () => (await certified()).filter(({ to }) => Date.parse(to) < startedMs);
      await expect
        .poll(async () => new Set((await over()).map(({ state }) => state)), {
          timeout: 60_000,
          interval: 1000,
        })
        .toEqual(new Set(["complete"]));
      const certificates = await over();
      expect(certificates.length).toBeGreaterThan(3);
      expect(certificates.some(({ tampered }) => tampered)).toBe(false);
      const polled = new Set(certificates.flatMap((one) => one.devices.map(({ device }) => device)));
      expect(polled.size).toBeGreaterThan(10);
    },
  );

  test("plates and names are nowhere in clear", { timeout: 60_000 }, async () => {
    const ticket = async () => (await allDelivered()).find(({ data }) => data?.["record"] === "ticket");
    await expect
      .poll(async () => (await ticket())?.kind, { timeout: 40_000, interval: 1000 })
      .toBe("transaction");
    const said = programs.filter(isKerb).flatMap(({ lines }) => lines);
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((file) => join(folder, file))
      .filter((file) => statSync(file).isFile())
      .map((file) => readFileSync(file));
    const everything = Buffer.concat([Buffer.from(JSON.stringify([await allDelivered(), said])), ...files]);
    expect(clear.filter((text) => everything.includes(text))).toEqual([]);
    expect(everything.includes("hmac-sha256:")).toBe(true);
    const values = (await ticket())!.data?.["values"];
    expect(values).toMatchObject({ plate: { token: expect.stringMatching(/^hmac-sha256:/) as string } });
  });

  test("Ctrl-C ends each of their programs", { timeout: 30_000 }, async () => {
    const ended = programs.filter(({ isRunning }) => isRunning).toReversed();
    const codes = ended.map(
      ({ child }) =>
        new Promise((resolve) => {
          child.once("exit", (code, signal) => resolve(signal ?? code));
          child.kill("SIGINT");
        }),
    );
    expect(new Set(await Promise.all(codes))).toEqual(new Set([0]));
  });
});
