import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { DeviceConfig } from "../config/config.ts";
import type { Found } from "../driver.ts";
import { loadProfile } from "../profiles/profiles.ts";
import { choose } from "./candidates.ts";
import { knownAs } from "./known.ts";
import { ownNetworks, rangeOf } from "./range.ts";
import { knock, sweep, unanswered } from "./sweep.ts";

/** What is looked through, what is left alone, and what is made of who was found. */

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

const never = new AbortController().signal;

async function listening(): Promise<number> {
  const server = createServer((socket) => void socket.on("error", () => {}).resume()).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const at = (address: string, bits: number, internal = false) => ({
  address,
  internal,
  family: "IPv4" as const,
  netmask: "",
  mac: "",
  cidr: `${address}/${bits}`,
});

const reading = { unit: "", decimals: 0, status: "good" as const, timeMs: 0, address: "" };
/** A device all of whose points are this. */
const say = (value: number) => async (_: DeviceConfig, names: readonly string[]) => ({
  identity: {},
  mismatch: undefined,
  readings: names.map((point) => ({ ...reading, point, value })),
});

describe("a range", () => {
  it.each([
    ["192.168.10.0/30", ["192.168.10.1", "192.168.10.2"]],
    ["192.168.10.77/31", ["192.168.10.76", "192.168.10.77"]],
    ["10.0.0.7", ["10.0.0.7"]],
    ["203.0.113.7", ["203.0.113.7"]],
  ])("of %s", (text, addresses) => {
    const range = rangeOf([text]);
    if ("problem" in range) throw new Error(range.problem);
    expect(range.addresses).toEqual(addresses);
    expect(range.has("192.168.10.3")).toBe(false);
  });

  it.each([
    ["10.0.0.0/21", "large"],
    ["0.0.0.0/0", "large"],
    ["8.8.8.0/30", "public"],
    ["172.32.0.0/24", "public"],
    ["10.0.0.0/33", "form"],
    ["10.0.0.256", "form"],
    ["fe80::1", "form"],
    ["", "form"],
  ])("%s is none: %s", (text, problem) => {
    expect(rangeOf([text])).toEqual({ problem, text });
  });

  it("has at most 1024 addresses, however many parts it has", () => {
    expect(rangeOf(["10.0.0.0/22"])).not.toHaveProperty("problem");
    expect(rangeOf(["10.0.0.0/22", "10.0.8.0/24"])).toMatchObject({ problem: "large" });
  });

  it("of this machine is private, its own, and small", () => {
    const found = ownNetworks({
      lo: [at("127.0.0.1", 8, true)],
      eth0: [at("192.168.10.9", 24)],
      eth1: [at("203.0.113.9", 24)],
      docker0: [at("172.17.0.1", 16)],
      wg0: [at("10.9.0.2", 32)],
    });
    expect(found.networks).toEqual([{ cidr: "192.168.10.0/24", interface: "eth0", address: "192.168.10.9" }]);
    expect(found.large.map(({ cidr }) => cidr)).toEqual(["172.17.0.0/16"]);
  });
});

describe("a sweep", () => {
  it("knocks at each port once, visits those that are open, and not those that are held", async () => {
    const [open, held] = [await listening(), await listening()];
    const visited: string[] = [];
    let done = 0;
    await sweep(
      {
        addresses: ["127.0.0.1", "127.0.0.2"],
        tcp: [open, held],
        udp: [9],
        isHeld: (address, port) => address === "127.0.0.1" && port === held,
        visit: async (address, port, kind) => void visited.push(`${kind} ${address}:${port}`),
        done: (count) => void (done = count),
      },
      never,
    );
    expect(visited.toSorted()).toEqual([`tcp 127.0.0.1:${open}`, "udp 127.0.0.1:9", "udp 127.0.0.2:9"]);
    expect(done).toBe(2);
  });

  it("ends when it is stopped", async () => {
    const stop = new AbortController();
    const visited: string[] = [];
    const port = await listening();
    await sweep(
      {
        addresses: Array.from({ length: 100 }, () => "127.0.0.1"),
        tcp: [port],
        udp: [],
        isHeld: () => false,
        visit: async (address) => {
          visited.push(address);
          stop.abort();
        },
        done: () => {},
      },
      stop.signal,
    );
    expect(visited.length).toBeLessThan(33);
  });

  it("tells a port that is open from one that is not", async () => {
    const port = await listening();
    servers.pop()?.close();
    expect(await knock("127.0.0.1", port, never)).toBe("refused");
    expect(await knock("127.0.0.1", await listening(), never)).toBe("open");
  });

  it("knows from the table of neighbours who is not there", () => {
    const table = `IP address       HW type     Flags       HW address            Mask     Device
192.168.10.7     0x1         0x0         00:00:00:00:00:00     *        eth0
192.168.10.8     0x1         0x2         02:fc:00:00:00:05     *        eth0
`;
    expect([...unanswered(table)]).toEqual(["192.168.10.7"]);
    expect([...unanswered("")]).toEqual([]);
  });
});

const found = (more: Partial<Found>): Found => ({
  place: "10.0.0.1",
  at: { host: "10.0.0.1", port: 161 },
  identity: {},
  ...more,
});

describe("who was found", () => {
  const router = loadProfile("teltonika/rut");
  const ups = loadProfile("ups/rfc1628");

  it("is named by a profile for that very model and firmware, exactly", async () => {
    const own = { ...router, firmware: ">=7.0 <8.0", identify: { ...router.identify } };
    own.identify.is = { vendor: ["Teltonika"], model: ["RUT956"], certainty: "seen" };
    const identity = { vendor: "Teltonika", model: "RUT956", firmware: "7.4" };
    expect(await choose("snmp", found({ identity }), [ups, own], undefined, undefined)).toMatchObject({
      match: "exact",
      profile: "teltonika/rut",
    });
    const series = await choose("snmp", found({ identity }), [ups, router], undefined, undefined);
    expect(series).toMatchObject({ match: "likely", profile: "teltonika/rut" });
  });

  it("fits a profile by how its points read, unless all of them are nothing", async () => {
    const one = await choose("snmp", found({}), [ups], undefined, say(5));
    expect(one).toMatchObject({ match: "likely", profile: "ups/rfc1628" });
    expect(one.fits?.fits).toBe(one.fits?.of);
    expect(await choose("snmp", found({}), [ups], undefined, say(0))).toMatchObject({ match: "none" });
  });

  it("is not asked for points when it wants a login", async () => {
    const asked: string[] = [];
    const tryOut = async (device: DeviceConfig) => {
      asked.push(device.id);
      return { identity: {}, mismatch: undefined, readings: [] };
    };
    const needs = ["user", "password"];
    expect(await choose("snmp", found({ needs }), [ups], undefined, tryOut)).toMatchObject({
      match: "login",
    });
    expect(asked).toEqual([]);
  });

  it("is the device of the site file at the same place, and no other", () => {
    const transport = { type: "rtu", port: "/dev/null", baud: 9600, parity: "none" };
    const device = { id: "meter-01", driver: "modbus", settings: { transport, unit: 3, timeout: 1000 } };
    const devices = [device] as unknown as DeviceConfig[];
    const place = { transport: { type: "rtu", port: "/dev/null", baud: 9600 }, unit: 3 };
    expect(knownAs("modbus", found({ at: place }), devices)).toBe("meter-01");
    expect(knownAs("modbus", found({ at: { ...place, unit: 4 } }), devices)).toBeUndefined();
    expect(knownAs("serial", found({ at: place }), devices)).toBeUndefined();
  });
});
