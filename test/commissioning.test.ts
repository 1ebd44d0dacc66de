import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "./ports.ts";

/**
 * The technician's way, as `kerb --help` leads it: from an empty folder to five devices whose events the IOC has. The
 * real command in processes of its own, in an empty folder that knows of no site, against pretended devices.
 */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const box = mkdtempSync(join(tmpdir(), "kerb-commissioning-"));
const password = "một mật khẩu 01";
const env = {
  PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
  HOME: box,
  LANG: "C.UTF-8",
};

const running: ChildProcess[] = [];

/** A program that stays, and all that it has said. */
class Stays {
  readonly child: ChildProcess;
  said = "";

  constructor(args: readonly string[], cwd = box) {
    this.child = spawn(launcher, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    running.push(this.child);
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (data: Buffer) => (this.said += data.toString()));
  }

  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return until(() => {
      if (this.child.exitCode !== null) throw new Error(`ended without ${pattern}: ${this.said}`);
      return pattern.exec(this.said) ?? undefined;
    }, `${pattern} in ${this.said}`);
  }
}

async function until<Result>(look: () => Result | undefined | Promise<Result | undefined>, what: string) {
  const giveUpMs = performance.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUpMs) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** One command, typed as a person types it where nobody is asked. */
async function kerb(line: string, input = ""): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(launcher, line.split(" "), { cwd: box, env, stdio: ["pipe", "pipe", "pipe"] });
  running.push(child);
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  child.stdin.end(input);
  const code = await new Promise<number>((resolve) => child.once("close", (end) => resolve(end ?? -1)));
  return { code, out, err };
}

/** Four protocols behind five addresses. */
const devices = [
  { id: "meter-01", driver: "modbus", profile: "eastron/sdm630" },
  { id: "level-01", driver: "modbus", profile: "qdy/qdy30a" },
  { id: "weather-01", driver: "http", profile: "generic/xml-weather" },
  { id: "ups-01", driver: "snmp", profile: "ups/rfc1628" },
  { id: "camera-01", driver: "onvif", profile: "onvif/profile-m" },
] as const;
const ports = new Map<string, number>();
const portOf = (id: string): number => ports.get(id) ?? 0;

/** The pretended district, which somebody else has set up: nothing of its file is known at the cabinet. */
function pretended(): string {
  const folder = mkdtempSync(join(box, "district-"));
  const at = (id: string) => `host: 127.0.0.1, port: ${portOf(id)}`;
  const settings: Record<(typeof devices)[number]["id"], string> = {
    "meter-01": `transport: { type: tcp, ${at("meter-01")} }, unit: 1`,
    "level-01": `transport: { type: rtu-over-tcp, ${at("level-01")} }, unit: 4`,
    "weather-01": at("weather-01"),
    "ups-01": at("ups-01"),
    "camera-01": `${at("camera-01")}, rtspPort: ${portOf("camera-01")}, user: kerb-edge, password: "${password}"`,
  };
  const lines = devices.map(
    ({ id, driver, profile }) => `  - { id: ${id}, driver: ${driver}, profile: ${profile}, ${settings[id]} }`,
  );
  const file = join(folder, "district.yaml");
  const head =
    "version: 1\ngateway: { id: pretended, name: Giả lập, city: test, state: ./state }\ndevices:\n";
  writeFileSync(file, `${head}${lines.join("\n")}\n`);
  return file;
}

beforeAll(async () => {
  for (const { id } of devices) ports.set(id, await freePort());
});

afterAll(async () => {
  const ended = running.map(
    (child) =>
      new Promise((resolve) =>
        child.exitCode !== null || child.signalCode !== null ? resolve(0) : child.once("close", resolve),
      ),
  );
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(ended);
  rmSync(box, { recursive: true, force: true });
});

interface Held {
  events: { device: string; kind: string; type: string }[];
}

test(
  "from an empty folder to five commissioned devices, with what kerb prints",
  { timeout: 120_000 },
  async () => {
    const [broker, api] = [await freePort(), await freePort()];
    const centre = new Stays(["simulate", "broker", "--port", String(broker)]);
    const district = new Stays(["simulate", "--site", pretended()]);
    await Promise.all([centre.says(/127\.0\.0\.1/), district.says(/Ctrl-C/)]);

    // Nothing is there, and the first sentence says how to begin.
    const lost = await kerb("status");
    expect(lost.code).toBe(3);
    expect(lost.err).toContain("kerb init");
    expect((await kerb("help")).out).toContain("init [FILE]");
    const begun = await kerb(`init --id cabinet-01 --city test --broker mqtt://127.0.0.1:${broker}`);
    expect(begun.err).toContain("Next:");
    expect({ code: begun.code, out: begun.out }).toEqual({
      code: 0,
      out: "Wrote gateway.yaml for cabinet-01.\n",
    });
    const written = readFileSync(join(box, "gateway.yaml"), "utf8");
    expect((await kerb("init --id other --city test")).code).toBe(2);
    expect(readFileSync(join(box, "gateway.yaml"), "utf8")).toBe(written);

    // Who is there, and the numbers that add them.
    const list = [...ports.values()].join(",");
    const found = await kerb(`discover 127.0.0.1 --port ${list} --for 1s`);
    expect(found.code).toBe(0);
    expect(found.err).toMatch(/Next: kerb device add \d+/);
    const numberOf = (id: string): string => {
      const row = found.out.split("\n").find((line) => line.includes(`:${portOf(id)} `));
      return /^ *(\d+) /.exec(row ?? "")?.[1] ?? `nothing at ${portOf(id)}: ${found.out}`;
    };
    for (const { id } of devices) {
      const login = id === "camera-01" ? " --user kerb-edge --password-stdin" : "";
      const added = await kerb(`device add ${numberOf(id)} --id ${id}${login} --yes`, `${password}\n`);
      expect({ id, ...added }).toMatchObject({ id, code: 0 });
      expect(added.err).toContain(`Next: kerb read ${id}`);
    }
    expect((await kerb("read meter-01 voltage.L1")).out).toMatch(/^voltage\.L1 .* V +good/m);

    // It runs, and the IOC has events of every one.
    const receive = `receive --broker mqtt://127.0.0.1:${broker} --city test --listen 127.0.0.1:${api} --ack-interval 200ms`;
    const ioc = new Stays(receive.split(" "));
    await ioc.says(/connected to/);
    const gateway = new Stays(["run"]);
    await Promise.all(devices.map(({ id }) => gateway.says(new RegExp(`${id} is online`))));
    const heard = new Set<string>();
    await until(
      async () => {
        const held = (await (
          await fetch(`http://127.0.0.1:${api}/gateways/cabinet-01/events?limit=1000`)
        ).json()) as Held;
        for (const { device, kind } of held.events) if (kind === "telemetry") heard.add(device);
        return devices.every(({ id }) => heard.has(id)) || undefined;
      },
      `events of all five, only of ${[...heard].join(", ")}`,
    );
    expect((await kerb("upstream test")).out).toMatch(/ event +✓/);
    expect((await kerb("device list")).err).toMatch(/^5 devices: 5 online, 0 failing/m);
    expect(existsSync(join(box, "state", "outbox.db"))).toBe(true);
  },
);
