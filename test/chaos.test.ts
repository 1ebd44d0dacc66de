import Database from "better-sqlite3";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ask } from "../gateway/control.ts";
import type { KerbEvent } from "../gateway/event.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";

/**
 * Everything may be killed at any moment. For 40 seconds (KERB_CHAOS_SECONDS) gateway, host, broker and receiver
 * are killed with SIGKILL in random order; each read of a device returns the next number. Afterwards: nothing
 * that the outbox accepted is missing, nothing is there twice, and a number that is missing was served in the
 * moment before its gateway or host was killed, that is, before it could be accepted.
 */

const seconds = Number(process.env["KERB_CHAOS_SECONDS"] ?? 40);
const seed = process.env["KERB_CHAOS_SEED"];
/** Hand-over (20 ms) and group commit (1 s), with a margin for a busy machine. */
const unacceptedMs = 3000;
const pollMs = 100;
const devices = ["dev-01", "dev-02", "dev-03", "dev-04"];
const kerb = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const haveMosquitto = spawnSync("mosquitto", ["-h"]).error === undefined;
if (!haveMosquitto) console.log("skipped: mosquitto is not installed (apt-get install mosquitto)");

const folder = mkdtempSync(join(tmpdir(), "kerb-chaos-"));
const children = new Map<string, ChildProcess>();
const servers: Server[] = [];
const sockets = new Set<Socket>();
/** Number → when it was served, per device. */
const served = new Map<string, number[]>(devices.map((id) => [id, []]));

/** A device whose registers 0-1 hold a 32-bit number that grows by one with each read. */
async function counterDevice(id: string): Promise<number> {
  const times = served.get(id) as number[];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let rest = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 12) {
        const request = rest.subarray(0, 12);
        rest = rest.subarray(12);
        const answer = Buffer.from("0000000000070103040000000000", "hex").subarray(0, 13);
        request.copy(answer, 0, 0, 2);
        answer.writeUInt16BE(7, 4);
        if (request[7] !== 3) {
          socket.write(Buffer.from([...request.subarray(0, 4), 0, 3, 1, (request[7] ?? 0) | 128, 1]));
          continue;
        }
        times.push(Date.now());
        answer.writeUInt32BE(times.length, 9);
        socket.write(answer);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

let brokerPort = 0;
let apiPort = 0;
const state = join(folder, "state");
const commands: Record<string, () => [string, string[]]> = {
  broker: () => ["mosquitto", ["-c", join(folder, "mosquitto.conf")]],
  receiver: () => [
    kerb,
    // prettier-ignore
    ["receive", "--broker", `mqtt://127.0.0.1:${brokerPort}`, "--city", "chaos", "--name", "ioc", "--database", join(folder, "receiver.db"), "--listen", `127.0.0.1:${apiPort}`, "--ack-interval", "1s"],
  ],
  gateway: () => [kerb, ["run", join(folder, "site.yaml")]],
};
const log: string[] = [];

function launch(name: keyof typeof commands): void {
  const [command, args] = (commands[name] as () => [string, string[]])();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const keep = (bytes: Buffer) => log.push(`${name}: ${bytes.toString().trimEnd()}`);
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.on("exit", (code, signal) => log.push(`${name} (${child.pid}) ended: ${signal ?? code}`));
  children.set(name, child);
}

async function kill(name: string): Promise<void> {
  const child = children.get(name);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

async function status(): Promise<GatewayStatus | undefined> {
  try {
    for await (const answer of ask(join(state, "kerb.sock"), { verb: "status" }, AbortSignal.timeout(5000)))
      return answer as GatewayStatus;
  } catch {
    // Killed a moment ago; the caller asks again.
  }
  return undefined;
}

async function received(): Promise<KerbEvent[]> {
  const events: KerbEvent[] = [];
  let cursor = { epoch: 0, after: 0 };
  for (;;) {
    const url = `http://127.0.0.1:${apiPort}/gateways/chaos-gw/events?epoch=${cursor.epoch}&after=${cursor.after}&limit=1000`;
    const page = (await (await fetch(url)).json()) as { events: KerbEvent[]; next: typeof cursor | null };
    events.push(...page.events);
    if (page.next === null) return events;
    cursor = page.next;
  }
}

beforeAll(async () => {
  mkdirSync(state);
  brokerPort = await freePort();
  apiPort = await freePort();
  writeFileSync(
    join(folder, "mosquitto.conf"),
    `listener ${brokerPort} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n`,
  );
  const blocks = await Promise.all(
    devices.map(
      async (id) => `
  - id: ${id}
    driver: modbus
    transport: { type: tcp, host: 127.0.0.1, port: ${await counterDevice(id)} }
    functions: [3]
    poll: ${pollMs}ms
    points:
      count: { address: { table: holding, register: 0, type: uint32 } }`,
    ),
  );
  writeFileSync(
    join(folder, "site.yaml"),
    `version: 1
gateway: { id: chaos-gw, name: Chaos, city: chaos, state: state }
uplinks:
  - { id: ioc, type: mqtt, url: "mqtt://127.0.0.1:${brokerPort}", reconnectMax: 1s, resendAfter: 5s }
devices:${blocks.join("")}
`,
  );
});

afterAll(async () => {
  await Promise.all([...children.keys()].map(kill));
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Kills a host of the running gateway; true when there was one to kill. */
async function killHost(): Promise<boolean> {
  const pid = (await status())?.hosts[0]?.pid;
  if (pid === undefined) return false;
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

it.skipIf(!haveMosquitto)(
  `loses nothing accepted in ${seconds} s of kill -9 of gateway, host, broker and receiver`,
  { timeout: seconds * 1000 + 120_000 },
  async () => {
    let random = Number(seed ?? Date.now() % 1_000_000);
    console.log(`chaos: seed ${random}`);
    const next = () => (random = (random * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
    for (const name of ["broker", "receiver", "gateway"]) launch(name);
    await expect
      .poll(async () => (await status())?.outbox.books.live.delivered ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(0);
    /** When gateway or host were killed: what was served just before was not accepted. */
    const kills: number[] = [];
    const tally: Record<string, number> = {};
    const endMs = Date.now() + seconds * 1000;
    while (Date.now() < endMs) {
      await sleep(1200 + next() * 1500);
      const victim = ["gateway", "host", "broker", "receiver"][Math.floor(next() * 4)] ?? "";
      tally[victim] = (tally[victim] ?? 0) + 1;
      if (victim === "host") {
        await killHost();
        kills.push(Date.now());
        continue;
      }
      await kill(victim);
      if (victim === "gateway") kills.push(Date.now());
      await sleep(next() * 800);
      launch(victim);
    }
    await expect.poll(async () => (await status())?.uplinks[0]?.state, { timeout: 30_000 }).toBe("connected");
    // Whatever is accepted now is delivered in the end: the devices fall silent, the queue runs empty.
    for (const server of servers) server.close();
    for (const socket of sockets) socket.destroy();
    kills.push(Date.now());
    await expect
      .poll(async () => (await status())?.outbox.books.live.kept ?? -1, { timeout: 60_000, interval: 500 })
      .toBe(0);
    await expect
      .poll(
        () =>
          fetch(`http://127.0.0.1:${apiPort}/health`).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    const events = await received();
    await kill("gateway");
    verify(events, kills);
    console.log(`chaos: kills ${JSON.stringify(tally)}, ${events.length} events stored once, 0 lost`);
  },
);

function verify(events: KerbEvent[], kills: number[]): void {
  const ids = new Set(events.map((event) => `${event.epoch}:${event.seq}`));
  expect(ids.size, "an event id is stored twice").toBe(events.length);
  const database = new Database(join(state, "outbox.db"), { readonly: true });
  const epochs = database.prepare("SELECT epoch, base FROM epoch ORDER BY base, epoch").all() as {
    epoch: number;
    base: number;
  }[];
  const last = database.prepare("SELECT max(last_id) FROM account").pluck().get() as number;
  const kept = new Set(database.prepare("SELECT id FROM event").pluck().all() as number[]);
  database.close();
  for (const [i, { epoch, base }] of epochs.entries()) {
    const end = epochs[i + 1]?.base ?? last;
    for (let id = base + 1; id <= end; id++) {
      const there = ids.has(`${epoch}:${id - base}`) || kept.has(id);
      expect(
        there,
        `event ${epoch}:${id - base} was accepted and is lost\n${log.slice(-40).join("\n")}`,
      ).toBe(true);
    }
  }
  expect(epochs.length).toBeGreaterThan(2);
  for (const id of devices) verifyNumbers(id, events, kills);
}

function verifyNumbers(id: string, events: KerbEvent[], kills: number[]): void {
  const times = served.get(id) as number[];
  const numbers = events
    .filter((event) => event.device === id && event.kind === "telemetry")
    .toSorted((a, b) => a.epoch - b.epoch || a.seq - b.seq)
    .map((event) => ({ number: event.readings?.[0]?.value as number, timeMs: event.timeMs }));
  expect(numbers.length).toBeGreaterThan((seconds * 1000) / pollMs / 4);
  let before = 0;
  for (const { number, timeMs } of numbers) {
    expect(number, `${id}: a value came again under another id, or out of order`).toBeGreaterThan(before);
    before = number;
    const servedMs = times[number - 1] ?? 0;
    expect(
      Math.abs(timeMs - servedMs),
      `${id}: number ${number} carries a time that is not that of its read`,
    ).toBeLessThan(500);
  }
  const there = new Set(numbers.map((entry) => entry.number));
  times.forEach((servedMs, i) => {
    if (there.has(i + 1)) return;
    const explained = kills.some((killMs) => servedMs > killMs - unacceptedMs && servedMs < killMs + 500);
    expect(explained, `${id}: number ${i + 1} is missing though nothing was killed after it was served`).toBe(
      true,
    );
  });
}
