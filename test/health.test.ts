import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import { freePort } from "./ports.ts";

/** The real gateway as a service: what it tells systemd, `kerb health`, and the HTTP endpoint. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kerb-health-"));
const file = join(folder, "gateway.yaml");
const environment = { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8" };
const hasSystemd = ["socat", "systemd-notify"].every(
  (program) => spawnSync(program, ["--version"]).error === undefined,
);
if (!hasSystemd) console.warn("skipped: socat or systemd-notify is not installed");

const children: ChildProcess[] = [];
let told = "";
let log = "";
let metricsPort = 0;

function start(command: string, args: string[], env: Record<string, string>, take: (text: string) => void) {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text: Buffer) => take(text.toString()));
  return child;
}

interface Result {
  code: number | null;
  out: string;
  err: string;
}

/** Not `spawnSync`: what the gateway says meanwhile has to be read. */
async function kerb(...args: string[]): Promise<Result> {
  const child = spawn(launcher, args, { env: environment });
  const result: Result = { code: null, out: "", err: "" };
  child.stdout.on("data", (text: Buffer) => (result.out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (result.err += text.toString()));
  await once(child, "close");
  return { ...result, code: child.exitCode };
}

interface Check {
  check: string;
  object?: string;
  state: string;
  code?: string;
  seen: string;
  do?: string;
}

async function findings(): Promise<Record<string, Check>> {
  const { out } = await kerb("health", "--json", "--site", file);
  const { data } = JSON.parse(out) as { data: { checks: Check[] } };
  return Object.fromEntries(data.checks.map((one) => [`${one.check} ${one.object ?? ""}`.trim(), one]));
}

async function status(): Promise<GatewayStatus> {
  return (JSON.parse((await kerb("status", "--json", "--site", file)).out) as { data: GatewayStatus }).data;
}

function get(path: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${metricsPort}${path}`);
}

let gateway: ChildProcess;

function deviceText(id: string, port: number): string {
  return `
  - id: ${id}
    name: Công tơ ${id}
    driver: modbus
    profile: eastron/sdm630
    poll: 200ms
    transport: { type: tcp, host: 127.0.0.1, port: ${port} }
    unit: 1`;
}

beforeAll(async () => {
  const [meter, nobody] = [await freePort(), await freePort()];
  metricsPort = await freePort();
  writeFileSync(
    file,
    `version: 1
gateway: { id: health-test, name: Tủ thử nghiệm, city: test, state: ./state }
outbox: { commitAfter: 100ms }
uplinks: [{ id: ioc, type: mqtt, url: "mqtt://127.0.0.1:${nobody}", reconnectMax: 200ms }]
health: { listen: "127.0.0.1:${metricsPort}" }
devices:${deviceText("meter-01", meter)}${deviceText("meter-02", nobody)}
`,
  );
  let simulated = "";
  start(
    launcher,
    ["simulate", "eastron/sdm630", "--port", String(meter)],
    environment,
    (text) => (simulated += text),
  );
  const socket = join(folder, "notify");
  if (hasSystemd) start("socat", ["-u", `UNIX-RECV:${socket}`, "-"], environment, (text) => (told += text));
  await vi.waitUntil(() => simulated.includes("127.0.0.1"), 20_000);
  const service = hasSystemd ? { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "6000000" } : {};
  gateway = start(launcher, ["run", file], { ...environment, ...service }, (text) => (log += text));
  await vi.waitUntil(() => log.includes("is running"), 20_000);
}, 60_000);

afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "close");
  }
  rmSync(folder, { recursive: true, force: true });
});

describe("a gateway that runs", () => {
  it.skipIf(!hasSystemd)("tells systemd that it is ready, how it is, and that it lives", async () => {
    await expect.poll(() => told, { timeout: 20_000 }).toContain("READY=1");
    await expect.poll(() => told.split("WATCHDOG=1").length, { timeout: 20_000 }).toBeGreaterThan(2);
    await expect.poll(() => told, { timeout: 20_000 }).toContain("STATUS=1 of 2 devices online, ioc ");
    expect(told).not.toContain("EXTEND_TIMEOUT_USEC");
  });

  it("keeps systemd's socket from its drivers", async () => {
    const pid = (await status()).hosts[0]?.pid ?? 0;
    expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toMatch(/NOTIFY_SOCKET|WATCHDOG/);
  });

  it("is told what is wrong with it, with cause and cure, in 6 for scripts", async () => {
    await expect
      .poll(async () => (await findings())["devices"]?.seen, { timeout: 20_000 })
      .toBe("1 of 2 online");
    const found = await findings();
    expect(found).toMatchObject({
      loop: { state: expect.stringMatching(/ok|warn/) as string },
      outbox: { state: "ok" },
      disk: { state: "ok" },
      "uplink ioc": { state: "bad", code: "KERB-UP-REFUSED", do: expect.stringContaining("`url`") as string },
      "host modbus": { state: "ok" },
      devices: { state: "bad" },
      "device meter-02": { state: "bad", code: "KERB-NET-PORT" },
    });
    expect(found["device meter-01"]).toBeUndefined();
    const english = await kerb("health", "--site", file);
    expect(english).toMatchObject({ code: 6, err: "" });
    expect(english.out).toMatch(/^✗ uplink ioc +The broker refuses the connection +\(KERB-UP-REFUSED\)$/m);
    const vietnamese = await kerb("health", "--lang", "vi", "--site", file);
    expect(vietnamese.out).toMatch(/^✗ kết nối IOC ioc +Broker từ chối kết nối /m);
    const shown = await kerb("status", "--site", file);
    expect(shown.out).toMatch(
      /^ioc +(waiting|connecting) .*The broker refuses the connection: .*ECONNREFUSED/m,
    );
    expect(shown.out).toMatch(/^findings \d +kerb health --site \S+gateway.yaml$/m);
  }, 60_000);

  it("is alive and ready without IOC, and counts", async () => {
    expect((await get("/healthz")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
    const metrics = await (await get("/metrics")).text();
    expect(metrics).toMatch(/^kerb_device_up\{device="meter-01",driver="modbus"\} 1$/m);
    expect(metrics).toMatch(/^kerb_device_up\{device="meter-02",driver="modbus"\} 0$/m);
    expect(metrics).toMatch(/^kerb_upstream_connected\{target="ioc"\} 0$/m);
    expect(metrics).toMatch(/^kerb_device_accepted_total\{device="meter-01",class="live"\} [1-9]\d*$/m);
    expect(metrics).toMatch(/^kerb_device_events\{device="meter-01",class="live"\} [1-9]\d*$/m);
    expect(metrics).toMatch(/^kerb_device_delivered_total\{device="health-test",class="event"\} 0$/m);
    expect(Number(/^kerb_buffer_accepted_total\{class="live"\} (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(
      0,
    );
  });

  it("does not make an outage younger by trying again", async () => {
    const first = (await status()).uplinks[0]?.sinceMs;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await status()).uplinks[0]?.sinceMs).toBe(first);
  });

  it("does not call the devices of a dead host online", async () => {
    let seen: Record<string, Check> = {};
    // Each kill makes the pause before the next start longer.
    await expect
      .poll(
        async () => {
          const pid = (await status()).hosts[0]?.pid;
          if (pid !== undefined) process.kill(pid, "SIGKILL");
          seen = await findings();
          return seen["host modbus"]?.code;
        },
        { timeout: 30_000 },
      )
      .toBe("KERB-HOST-ENDED");
    expect(seen["host modbus"]?.seen).toContain("SIGKILL");
    expect(seen["devices"]?.seen).toMatch(/^0 of 2 online/);
    expect(seen["device meter-01"]).toBeUndefined();
    // Also while the next one starts nothing is said that the dead one knew.
    for (let whole = await status(); whole.hosts[0]?.state !== "running"; whole = await status())
      expect(whole.devices.map(({ state }) => state)).not.toContain("online");
    await expect.poll(async () => (await findings())["host modbus"]?.state, { timeout: 30_000 }).toBe("ok");
    // A host that hangs is ended: no fault of the device's wires.
    process.kill((await status()).hosts[0]?.pid ?? 0, "SIGSTOP");
    const { code, err } = await kerb("read", "meter-01", "--lang", "vi", "--site", file);
    expect(code).toBe(5);
    expect(err).toMatch(/^kerb: KERB-HOST-(ENDED|SILENT) {2}modbus: Tiến trình/);
    await expect.poll(async () => (await findings())["host modbus"]?.state, { timeout: 30_000 }).toBe("ok");
  }, 90_000);

  it("is found out when it hangs", async () => {
    gateway.kill("SIGSTOP");
    try {
      const { code, out } = await kerb("health", "--site", file);
      expect(code).toBe(6);
      expect(out).toMatch(/^✗ main loop +The gateway runs but does not answer +\(KERB-GW-SILENT\)$/m);
      const verbs = [["status"], ["books"], ["tail"], ["read", "meter-01"]];
      const results = await Promise.all(verbs.map((verb) => kerb(...verb, "--site", file)));
      for (const { code: exit, out: text, err } of results) {
        expect({ exit, text }).toEqual({ exit: 5, text: "" });
        expect(err).toMatch(/^kerb: KERB-GW-SILENT {2}.*\n.*no answer within 4 s\n.*likely.*\n +do /);
      }
    } finally {
      gateway.kill("SIGCONT");
    }
    await expect.poll(async () => (await findings())["outbox"]?.state, { timeout: 20_000 }).toBe("ok");
  }, 60_000);

  it("says goodbye, and then nobody is there", async () => {
    gateway.kill("SIGTERM");
    await once(gateway, "close");
    expect(gateway.exitCode).toBe(0);
    if (hasSystemd) await expect.poll(() => told, { timeout: 20_000 }).toContain("STOPPING=1");
    const none = await kerb("health", "--site", file);
    expect(none).toMatchObject({ code: 4, out: "" });
    expect(none.err).toMatch(/no gateway is running for .*\n.*seen.*\n +do +start it/);
    const vietnamese = await kerb("status", "--lang", "vi", "--site", file);
    expect(vietnamese.err).toMatch(
      /không có gateway nào đang chạy cho .*\n.*\n +cách xử lý +khởi động: kerb run /,
    );
    expect((await kerb("health", "--site", join(folder, "none.yaml"))).code).toBe(3);
    await expect(get("/healthz")).rejects.toThrow("fetch failed");
  }, 60_000);
});
