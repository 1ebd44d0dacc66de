import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { startBroker, type Broker } from "../simulators/mqtt/index.ts";
import { Bench, type Gateway } from "./interop/processes.ts";
import { freePort } from "./ports.ts";

/** `kerb browse` as people type it: real commands before pretend servers, alone and beside a running gateway. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));

let bench: Bench;
let broker: Broker;
let file = "";
let gateway: Gateway;

beforeAll(async () => {
  bench = new Bench();
  broker = await startBroker();
  const [scale, controller, meter] = [await freePort(), await freePort(), await freePort()];
  const transport = { type: "tcp", host: "127.0.0.1", port: meter };
  const secured = { trust: "first-use", user: "kerb", password: "tuyệt mật" };
  const host = "127.0.0.1";
  const crossing = { id: "tsc", driver: "opcua", host, port: controller, security: "none" };
  file = bench.site("browse", [
    { id: "scale", driver: "opcua", profile: "opc-foundation/vehicle-scale", host, port: scale, ...secured },
    { ...crossing, profile: "opcua/signal-controller", poll: { fast: "500ms" } },
    // What a technician writes before there is a profile.
    { ...crossing, id: "bare", points: {} },
    { ...crossing, id: "gone", port: await freePort(), points: {} },
    { id: "pinned", driver: "opcua", host, port: scale, pin: "00".repeat(32), points: {} },
    { id: "meter", driver: "modbus", profile: "eastron/sdm630", transport, unit: 1 },
    { id: "posts", driver: "mqtt", host, port: broker.port, points: {} },
  ]);
  const simulator = bench.start(launcher, "simulate", "--site", file, "--device", "scale", "tsc", "meter");
  await simulator.linesOf((line) => line.includes(" at 127.0.0.1:"), 3, 50_000);
}, 60_000);
afterAll(async () => {
  await bench.close();
  await broker.close();
});

interface Result {
  code: number | null;
  out: string;
  err: string;
}

async function kerb(...args: string[]): Promise<Result> {
  const environment = { PATH: process.env["PATH"] ?? "", HOME: bench.folder, LANG: "C.UTF-8" };
  const child = spawn(launcher, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const result: Result = { code: null, out: "", err: "" };
  child.stdout.on("data", (chunk) => (result.out += String(chunk)));
  child.stderr.on("data", (chunk) => (result.err += String(chunk)));
  [result.code] = (await once(child, "close")) as [number | null];
  return result;
}

const browse = (device: string, ...more: string[]) => kerb("browse", device, "--site", file, ...more);

interface Listing {
  isComplete: boolean;
  count: number;
  left: { left: string; entries?: number; branches?: number; place?: string }[];
  entries: {
    what: string;
    address: Record<string, unknown>;
    path: string[];
    type: string;
    access: string;
    value: unknown;
    status: string;
  }[];
}
const dataOf = ({ out }: Result): Listing => (JSON.parse(out) as { data: Listing }).data;

describe("kerb browse", { timeout: 60_000 }, () => {
  test("lists a secured server with its settings from the site file", async () => {
    const { code, out, err } = await browse("scale", "--lang", "en");
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(err).toMatch(/^scale {3}OPC Foundation .* listed with a session of its own/);
    expect(err).toMatch(/not listed, because every such device has it: --under i=2253/);
    const lines = out.split("\n");
    expect(lines[0]).toMatch(/^NAME +TYPE +ACCESS +VALUE +RANGE +ADDRESS$/);
    const serial = lines.findIndex((line) => line.includes("SerialNumber"));
    expect(lines[serial - 1]).toBe("Identification");
    expect(lines[serial]).toMatch(/^ {2}SerialNumber +String +read-write +\S+ +\{ node: "nsu=.*;i=\d+" \}$/);
  });

  test("its addresses make a device that reads what was shown", async () => {
    const listing = dataOf(await browse("bare", "--json"));
    expect(listing.isComplete).toBe(true);
    expect(listing.count).toBe(listing.entries.length);
    const variables = listing.entries.filter(({ what, path }) => what === "value" && path[0] !== "Aliases");
    expect(variables.length).toBeGreaterThan(5);
    const shown = (await browse("bare")).out.split("\n");
    const points = Object.fromEntries(
      variables.map(({ path, type }, i) => {
        const line = shown.find((one) => one.trimStart().startsWith(`${path.at(-1)} `)) ?? "";
        const kind = type === "Boolean" ? "boolean" : type === "String" ? "text" : "number";
        // The very words of the screen, as YAML.
        return [
          `p${i}`,
          { kind, address: parse(line.slice(line.indexOf("{"))) as unknown, certainty: "to-verify" },
        ];
      }),
    );
    const site = parse(readFileSync(file, "utf8")) as { devices: { id: string }[] };
    const bare = site.devices.find(({ id }) => id === "bare");
    const own = join(bench.folder, "drafted.yaml");
    writeFileSync(own, JSON.stringify({ ...site, devices: [{ ...bare, points }] }));
    const { out, err, code } = await kerb("read", "bare", "--site", own, "--json");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const { readings } = (JSON.parse(out) as { data: { readings: { status: string }[] } }).data;
    expect(readings).toHaveLength(variables.length);
    expect(readings.filter(({ status }) => status !== "good")).toEqual([]);
  });

  test("lists the registers of a meter, and marks what is a guess", async () => {
    const { code, out, err } = await browse("meter", "--under", "input 0-9", "--lang", "en");
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toMatch(/^input 0 +float32 ABCD \? .*register: 0, type: "float32", order: "ABCD" }$/m);
    expect(err).toMatch(/^\d+ entries, \d+ of them guesses$/m);
  });

  test("says what a limit and a level left out, and begins where it is told", async () => {
    const limited = dataOf(await browse("tsc", "--json", "--limit", "3"));
    expect(limited).toMatchObject({ isComplete: false, count: 3 });
    const { entries = 0, branches = 0 } = limited.left.find(({ left }) => left === "limit") ?? {};
    expect(entries + branches).toBeGreaterThan(3);
    const { out, err } = await browse("tsc", "--limit", "3", "--depth", "1", "--lang", "vi");
    expect(out).toMatch(/^TÊN +KIỂU +QUYỀN +GIÁ TRỊ +KHOẢNG +ĐỊA CHỈ$/m);
    expect(err).toMatch(/^3 mục$/m);
    expect(err).toMatch(/bỏ bớt vì giới hạn 3 mục: đã thấy thêm \d+ mục, \d+ nhánh chưa xem/);
    const server = dataOf(await browse("tsc", "--json", "--under", "i=2260"));
    expect(server.entries.map(({ path }) => path.at(-1))).toContain("ManufacturerName");
  });

  test.each([
    ["nobody", [], 3, /no device "nobody"/],
    ["tsc", ["--under", "i=424242"], 3, /i=424242: BadNodeIdUnknown[^]*name a place with --under/],
    ["posts", ["--lang", "vi"], 2, /posts: driver mqtt không có cách[^]*cách xử lý +xem tài liệu/],
    ["gone", [], 5, /KERB-DEV-REFUSED/],
    ["pinned", [], 5, /KERB-DEV-DENIED[^]*another certificate than the pinned one/],
    ["tsc", ["--limit", "0"], 2, /whole number from 1/],
  ])("%s %j ends with a sentence", async (device, more, code, sentence) => {
    const result = await browse(device, ...more);
    expect({ code: result.code, out: result.out }).toEqual({ code, out: "" });
    expect(result.err).toMatch(sentence);
    expect(result.err).not.toMatch(/\n\s+at /);
  });

  test("works beside a running gateway, whose session goes on", async () => {
    gateway = await bench.run(file, "browse");
    const isOnline = () =>
      gateway.until(({ devices }) => devices.some(({ id, state }) => id === "tsc" && state === "online"));
    const before = (await isOnline()).devices.find(({ id }) => id === "tsc");
    for (const device of ["tsc", "scale"]) expect((await browse(device)).code).toBe(0);
    const after = (await isOnline()).devices.find(({ id }) => id === "tsc");
    expect(after?.sinceMs).toBe(before?.sinceMs);
    const lost = gateway.log(30).filter(({ msg }) => /\b(tsc|scale)\b.*(lost|ended)/.test(msg));
    expect(lost).toEqual([]);
  });
});
