import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IPublishPacket, MqttClient } from "mqtt";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Site as ConfiguredSite } from "../config/config.ts";
import { CommandLane } from "../uplink/commands.ts";
import { type CommandedGateway, Commanding } from "./commanding.ts";
import { loadCommanding } from "./loading.ts";
import { bytesOf, ioc, recordsOf, signed, Site, stranger, topicOf, until } from "./testing.ts";

let folder: string;
let log: string[];
let gateway: CommandedGateway;
let commanding: Commanding | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-commanding-"));
  log = [];
  commanding = undefined;
  gateway = {
    log: pino({}, { write: (line: string) => void log.push(line) }),
    ask: () => Promise.reject(new Error("no host")),
    report: () => undefined,
    frames: () => {},
    tell: () => {},
  };
});
afterEach(async () => {
  await commanding?.close();
  rmSync(folder, { recursive: true, force: true });
});

const light = {
  id: "light-01",
  class: "light-cabinet",
  enabled: true,
  points: [{ name: "dim", kind: "number", unit: "%", write: { interlock: [], safety: false } }],
  write: { allow: ["dim"] },
};

function siteOf(more: object = {}): ConfiguredSite {
  return {
    gateway: { id: "gw-01", city: "hcmc", stateFolder: folder },
    commands: {
      issuers: [{ id: "ioc", key: ioc.key, roles: ["lights"] }],
      roles: { lights: { devices: ["light-01"] } },
      ratePerMinute: 60,
      clock: "synced",
    },
    devices: [light],
    ...more,
  } as unknown as ConfiguredSite;
}

/** A lane whose broker takes everything at once. */
class Uplink {
  readonly lane = new CommandLane({
    uplink: "ioc",
    city: "hcmc",
    gateway: "gw-01",
    protocol: 5,
    log: gateway.log,
  });
  readonly said: string[] = [];
  readonly answers: Record<string, unknown>[] = [];

  constructor() {
    const client = {
      subscribe: (topic: string) => this.said.push(`subscribe ${topic}`),
      unsubscribe: (topic: string) => this.said.push(`unsubscribe ${topic}`),
      publish: (_topic: string, body: string, _options: object, done: () => void) => {
        this.answers.push(JSON.parse(body) as Record<string, unknown>);
        setImmediate(done);
      },
    };
    this.lane.opened(client as unknown as MqttClient, 20, Infinity, true);
  }

  command(payload: Buffer): void {
    const properties = { responseTopic: "hcmc/rsp/v1/gw-01/desk" };
    this.lane.received(topicOf("light-01"), payload, {
      retain: false,
      properties,
    } as unknown as IPublishPacket);
  }
}

const nothingOpen = { commands: { issuers: [], roles: {}, ratePerMinute: 60, clock: "synced" }, devices: [] };
const made = () => signed(new Site(folder).content());
const codes = async (): Promise<unknown[]> =>
  (await recordsOf(join(folder, "commands"))).flatMap(({ ev, code }) => (ev === "refused" ? [code] : []));

describe("Commanding", () => {
  it("refuses what still waits for a device when the gateway stops, and puts it on the record", async () => {
    commanding = new Commanding(siteOf(), gateway);
    const uplink = new Uplink();
    commanding.attach("ioc", uplink.lane);
    commanding.start([{ id: "light-01", index: 1 }]);
    uplink.command(made());
    expect(uplink.answers).toEqual([]);
    await commanding.close();
    expect(uplink.answers).toMatchObject([{ state: "rejected" }, { state: "rejected" }]);
    expect(await codes()).toHaveLength(1);
  });

  it("knows from the device's report that a person operates it on site", async () => {
    const report = { id: "light-01", state: "online", writable: true, override: "door is true" };
    gateway.report = () => report as ReturnType<CommandedGateway["report"]>;
    const site = siteOf();
    commanding = new Commanding({ ...site, commands: { ...site.commands, clock: "holdover" } }, gateway);
    const uplink = new Uplink();
    commanding.attach("ioc", uplink.lane);
    commanding.start([{ id: "light-01", index: 1 }]);
    const issued = Date.now();
    const command = { ...new Site(folder).content(), issued, notAfter: issued + 30_000 };
    uplink.command(signed(command));
    await until(() => uplink.answers.length > 0, "an answer");
    expect(uplink.answers[0]).toMatchObject({ code: "KERB-CMD-OVERRIDE", reason: "door is true" });
  });

  it("checks so many signatures a second and no more, and answers few of the rest", async () => {
    // A device that is not there is waited for by nobody.
    commanding = new Commanding(siteOf({ devices: [] }), gateway);
    const uplink = new Uplink();
    commanding.attach("ioc", uplink.lane);
    commanding.start([]);
    uplink.command(Buffer.from("?"));
    await until(() => uplink.answers.length > 0, "the journal is open");
    const forged = signed(new Site(folder).content(), stranger);
    for (let n = 0; n < 300; n++) uplink.command(forged);
    await until(() => uplink.answers.some(({ code }) => code === "KERB-CMD-BUSY"), "an answer");
    await commanding.close();
    const busy = uplink.answers.filter(({ code }) => code === "KERB-CMD-BUSY");
    expect(busy).toHaveLength(5);
    expect(busy[0]).toMatchObject({ id: "", unsigned: true });
    expect(log.filter((line) => line.includes("commands are dropped"))).toHaveLength(1);
  });

  it("refuses what is far too large by its size, and keeps little of it", async () => {
    commanding = new Commanding(siteOf({ devices: [] }), gateway);
    const uplink = new Uplink();
    const sizes: number[] = [];
    uplink.lane.listen(({ payload }) => void sizes.push(payload.buffer.byteLength));
    uplink.command(Buffer.alloc(3_000_000, " "));
    expect(sizes[0]).toBeLessThan(10_000);
    commanding.attach("ioc", uplink.lane);
    commanding.start([]);
    uplink.command(Buffer.alloc(3_000_000, " "));
    await until(() => uplink.answers.length > 0, "an answer");
    expect(uplink.answers[0]).toMatchObject({ code: "KERB-CMD-SIZE" });
  });
});

/** A pipe for whoever reads it; undefined: nobody does. */
function openedAtOnce(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

describe("Commanding on a disk that hangs", () => {
  it("closes after 8 s all the same, and says so", async () => {
    const path = join(folder, "commands", "journal-000001.ndjson");
    mkdirSync(join(folder, "commands"));
    // Whoever opens it to read waits until somebody writes.
    execFileSync("mkfifo", [path]);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const stuck = new Commanding(siteOf(), gateway);
    stuck.start([]);
    let isClosed = false;
    const closing = stuck.close().then(() => (isClosed = true));
    await vi.advanceTimersByTimeAsync(7999);
    expect([isClosed, log.length]).toEqual([false, 0]);
    await vi.advanceTimersByTimeAsync(1);
    await closing;
    expect(log[0]).toContain("does not close in time");
    vi.useRealTimers();
    let writer: number | undefined;
    const isRead = () => (writer = openedAtOnce(path)) !== undefined;
    await until(isRead, "the journal is being read");
    unlinkSync(path);
    closeSync(writer!);
    await stuck.close();
    expect(log).toHaveLength(1);
  });
});

describe("loadCommanding", () => {
  it("loads nothing where nothing may be written, nor ever was", async () => {
    expect(await loadCommanding(siteOf(nothingOpen), gateway)).toBeUndefined();
    commanding = await loadCommanding(siteOf(), gateway);
    expect(commanding).toBeInstanceOf(Commanding);
  });

  it("asks for no commands where only leases are left, lets go of an old subscription, and says what stays", async () => {
    mkdirSync(join(folder, "commands"));
    const before = new Site(join(folder, "commands"));
    const desk = await before.open();
    await desk.take(signed(before.content({ args: { dim: 40 }, lease: 60_000 })), topicOf("light-01"));
    await desk.close();
    commanding = await loadCommanding(siteOf(nothingOpen), gateway);
    const uplink = new Uplink();
    commanding?.attach("ioc", uplink.lane);
    commanding?.start([]);
    expect(uplink.said).toEqual([`unsubscribe hcmc/cmd/v1/gw-01/+`]);
    await until(() => log.some((line) => line.includes("light-01 dim")), "a word about the lease");
    uplink.command(bytesOf({}));
    expect(log.some((line) => line.includes("nothing of this site may be written"))).toBe(true);
  });
});
