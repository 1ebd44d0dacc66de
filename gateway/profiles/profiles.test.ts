import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import modbusSerial from "modbus-serial";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { listProfiles, loadProfile, mergeSettings, simulatedPoints, type Profile } from "./profiles.ts";

/** As `drivers/modbus/settings.ts` parses it; the gateway knows drivers only by name. */
interface Address {
  table: string;
  register: number;
  type: string;
  order?: string;
  bit?: number;
  length?: number;
}
interface Simulator {
  address: string;
  set(point: string, value: number | string | undefined): void;
  close(): Promise<void>;
}
type Schemas = { settings: z.ZodType<Record<string, unknown>>; address: z.ZodType<Address> };
type Start = (options: Record<string, unknown>) => Promise<Simulator>;

const schemasOf = async (driver: string) => (await import(`../../drivers/${driver}/settings.ts`)) as Schemas;
const startOf = async (driver: string) =>
  ((await import(`../../simulators/${driver}/index.ts`)) as { start: Start }).start;

const ids = listProfiles();
const modbusProfiles = ids.map((id) => loadProfile(id)).filter((profile) => profile.driver === "modbus");
const { settings: settingsSchema, address: addressSchema } = await schemasOf("modbus");

const registers: Record<string, number> = {
  uint32: 2,
  int32: 2,
  float32: 2,
  bcd32: 2,
  uint64: 4,
  int64: 4,
  float64: 4,
};
function span(address: Address): number {
  return address.type === "text" ? (address.length ?? 0) : (registers[address.type] ?? 1);
}
function addressOf(profile: Profile, name: string): Address {
  return addressSchema.parse(profile.points.find((point) => point.name === name)?.address);
}

describe("shipped profiles", () => {
  it("are the five first ones, and each loads", () => {
    expect(ids).toEqual(
      expect.arrayContaining([
        "campbell/metsens200",
        "dfrobot/sen0676",
        "eastron/sdm630",
        "qdy/qdy30a",
        "sunspec/meter-203",
      ]),
    );
    for (const id of ids) expect(loadProfile(id).points.length, id).toBeGreaterThan(0);
  });
});

describe("an alarm of a profile", () => {
  it("names a boolean point that there is", () => {
    const folder = mkdtempSync(join(tmpdir(), "kerb-profiles-"));
    const text = readFileSync(loadProfile("talq/street-light").file, "utf8");
    mkdirSync(join(folder, "x"));
    for (const [wrong, why] of [
      ["point: lampFailed", 'there is no boolean point "lampFailed"'],
      ["point: dimLevel", 'there is no boolean point "dimLevel"'],
    ] as const) {
      writeFileSync(join(folder, "x/y.yaml"), text.replace("point: lampFailure", wrong));
      expect(() => loadProfile("x/y", folder)).toThrow(why);
    }
    rmSync(folder, { recursive: true });
  });
});

describe.each(modbusProfiles)("modbus profile $id", (profile) => {
  it("has default settings that the driver takes, on a serial line as over TCP", () => {
    const rtu = { transport: { type: "rtu", port: "/dev/ttyUSB0" }, unit: 7 };
    const tcp = { transport: { type: "tcp", host: "192.0.2.1", port: 502 } };
    for (const device of [rtu, tcp]) {
      const result = settingsSchema.safeParse(mergeSettings(profile.settings, device));
      expect(result.success, result.error?.message).toBe(true);
      expect(result.data).toMatchObject(device);
    }
  });
});

interface SunSpecPoint {
  name: string;
  type: string;
  size: number;
  sf?: string;
  units?: string;
}
const sunspecFolder = fileURLToPath(new URL("../../../shared/schemas/sunspec/", import.meta.url));
const hasSunspec = existsSync(sunspecFolder);
if (!hasSunspec)
  console.log("skipped: no SunSpec models at ../shared/schemas/sunspec to check the profile against");

/** The points of a model by their offset from its ID register. */
function sunspecModel(id: number): Map<number, SunSpecPoint> {
  const text = readFileSync(`${sunspecFolder}model_${id}.json`, "utf8");
  const { group } = JSON.parse(text) as { group: { points: SunSpecPoint[] } };
  let offset = 0;
  return new Map(
    group.points.map((point) => {
      const entry = [offset, point] as const;
      offset += point.size;
      return entry;
    }),
  );
}

describe.skipIf(!hasSunspec)("sunspec/meter-203 against the SunSpec models", () => {
  const profile = loadProfile("sunspec/meter-203");
  const types: Record<string, string> = {
    int16: "int16",
    uint16: "uint16",
    sunssf: "int16",
    acc32: "uint32",
    bitfield32: "uint32",
    string: "text",
  };
  const units: Record<string, string> = { Wh: "kW.h", VA: "V.A", var: "V.A{reactive}", Pct: "1" };
  const scales: Record<string, number> = { Wh: 0.001, Pct: 0.01 };

  it("has every point of model 203 at its offset, with its type, size, unit and scale factor", () => {
    const model = sunspecModel(203);
    for (const point of profile.points) {
      const parsed = addressSchema.parse(point.address);
      const theirs = model.get(parsed.register - 40_070);
      expect(theirs, `${point.name}: nothing begins at register ${parsed.register}`).toBeDefined();
      if (theirs === undefined) continue;
      expect(parsed, point.name).toMatchObject({ table: "holding", type: types[theirs.type] });
      expect(span(parsed), point.name).toBe(theirs.size);
      expect(point.source, point.name).toBe(`model203: ${theirs.name}`);
      expect(point.unit, point.name).toBe(units[theirs.units ?? ""] ?? theirs.units ?? "1");
      expect(point.scale, point.name).toBe(scales[theirs.units ?? ""] ?? 1);
      const factor = point.scaleFactor === undefined ? undefined : addressOf(profile, point.scaleFactor);
      expect(factor === undefined ? undefined : model.get(factor.register - 40_070)?.name, point.name).toBe(
        theirs.sf,
      );
    }
    const names = new Set(profile.points.map((point) => point.source?.slice("model203: ".length)));
    const left = [...model.values()].filter(({ name }) => !names.has(name)).map(({ name }) => name);
    // What the profile leaves out on purpose: ID and L are markers, the rest are per-phase and VA or var counters.
    for (const name of left) expect(name).toMatch(/^(ID|L)$|^Tot(VAh|VArh)|^TotWh(Imp|Exp)Ph[ABC]$/);
  });

  it("finds the identity and the markers where model 1 and the lengths put them", () => {
    const model = sunspecModel(1);
    const length = [...model.values()].reduce((sum, point) => sum + point.size, 0);
    expect(40_002 + length).toBe(40_070);
    const { vendor, model: modelAddress, firmware, serial, expect: markers } = profile.identify;
    for (const [name, address] of Object.entries({
      Mn: vendor,
      Md: modelAddress,
      Vr: firmware,
      SN: serial,
    })) {
      const parsed = addressSchema.parse(address);
      expect(model.get(parsed.register - 40_002)).toMatchObject({
        name,
        type: "string",
        size: parsed.length,
      });
    }
    const meterLength = [...sunspecModel(203).values()].reduce((sum, point) => sum + point.size, 0);
    const equals = new Map(
      markers.map((marker) => [addressSchema.parse(marker.address).register, marker.equals]),
    );
    expect(Object.fromEntries(equals)).toEqual({
      40000: "SunS",
      40002: 1,
      40003: length - 2,
      40070: 203,
      40071: meterLength - 2,
    });
  });
});

/** What to pin, in the point's unit, and the words that must then be on the wire. */
const known: Record<
  string,
  { point: string; value: number; at: "input" | "holding"; register: number; words: number[] }
> = {
  "eastron/sdm630": { point: "voltage.L1", value: 230.5, at: "input", register: 0, words: [0x4366, 0x8000] },
  "qdy/qdy30a": { point: "waterLevel", value: 1.69, at: "holding", register: 4, words: [1690] },
  "dfrobot/sen0676": { point: "distance", value: 2.31, at: "holding", register: 1, words: [2310] },
  "campbell/metsens200": {
    point: "windSpeed",
    value: 2.5,
    at: "holding",
    register: 2,
    words: [0x4020, 0x0000],
  },
  "sunspec/meter-203": { point: "voltage.L1", value: 231.2, at: "holding", register: 40_078, words: [2312] },
};

describe("the five profiles as simulators", () => {
  it("all start on ephemeral ports and show a pinned value to modbus-serial", async () => {
    const start = await startOf("modbus");
    const simulators = await Promise.all(
      Object.keys(known).map(async (id) => {
        const profile = loadProfile(id);
        const identity = { vendor: profile.vendor, model: profile.model, firmware: "1.0", serial: "SIM-1" };
        const device = { transport: { type: "tcp", host: "127.0.0.1", port: 1 } };
        const settings = settingsSchema.parse(mergeSettings(profile.settings, device));
        const points = simulatedPoints(profile, identity);
        const transport = { ...device.transport, port: 0 };
        const simulator = await start({
          profile: id,
          points,
          settings: { ...settings, transport },
          identity,
        });
        return { id, simulator };
      }),
    );
    expect(new Set(simulators.map(({ simulator }) => simulator.address)).size).toBe(5);
    for (const { id, simulator } of simulators) {
      const { point, value, at, register, words } = known[id]!;
      simulator.set(point, value);
      const client = new modbusSerial.default();
      client.setTimeout(2000);
      await client.connectTCP("127.0.0.1", { port: Number(/:(\d+) unit 1$/.exec(simulator.address)?.[1]) });
      client.setID(1);
      const answer =
        at === "input"
          ? await client.readInputRegisters(register, words.length)
          : await client.readHoldingRegisters(register, words.length);
      expect(answer.data, id).toEqual(words);
      if (id === "sunspec/meter-203") {
        expect((await client.readHoldingRegisters(40_000, 2)).buffer.toString()).toBe("SunS");
        expect((await client.readHoldingRegisters(40_052, 16)).buffer.toString()).toBe(
          "SIM-1".padEnd(32, "\0"),
        );
        expect((await client.readHoldingRegisters(40_070, 55)).data.slice(0, 2)).toEqual([203, 105]);
      }
      client.close(() => {});
      await simulator.close();
    }
  });
});

describe("mergeSettings", () => {
  it("keeps what the device says and fills in the rest", () => {
    const profile = { transport: { type: "rtu", baud: 9600, parity: "none" }, order: "CDAB", functions: [3] };
    expect(
      mergeSettings(profile, { transport: { type: "rtu", baud: 19_200, port: "/dev/x" }, functions: [3, 4] }),
    ).toEqual({
      transport: { type: "rtu", baud: 19_200, parity: "none", port: "/dev/x" },
      order: "CDAB",
      functions: [3, 4],
    });
  });

  it("does not put a serial line's settings under a TCP transport", () => {
    const profile = { transport: { type: "rtu", baud: 9600 }, order: "CDAB" };
    const device = { transport: { type: "tcp", host: "192.0.2.1" } };
    expect(mergeSettings(profile, device)).toEqual({ transport: device.transport, order: "CDAB" });
    expect(mergeSettings(profile, {})).toEqual(profile);
  });
});
