import { afterEach, describe, expect, it } from "vitest";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Simulator, SimulatorOptions } from "../simulator.ts";
import { AlarmBoard } from "./alarm-board.ts";
import { Controller } from "./controller.ts";
import { start } from "./index.ts";
import { acknowledgement, Splitter, withId, wrapped, type Message } from "./wire.ts";

/** The pretend site before a supervisor that a test plays by hand. */

const open: (Simulator | Server)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

class Supervisor {
  readonly heard: Message[] = [];
  readonly #socket: Socket;

  constructor(socket: Socket) {
    const splitter = new Splitter();
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      for (const message of splitter.push(bytes)) if (message !== undefined) this.#take(message);
    });
  }

  #take(message: Message): void {
    this.heard.push(message);
    if (message["mId"] === undefined) return;
    this.#socket.write(wrapped(acknowledgement(message)));
    if (message.type === "Version")
      this.say("Version", { RSMP: message["RSMP"], siteId: message["siteId"], SXL: message["SXL"] });
    if (message.type === "Watchdog") this.say("Watchdog", { wTs: new Date().toISOString() });
  }

  say(type: string, body: object): string {
    const message = withId(type, body);
    this.#socket.write(wrapped(message));
    return message.mId;
  }

  hangUp(): void {
    this.#socket.destroy();
  }

  async next(is: (message: Message) => boolean): Promise<Message> {
    for (let i = 0; i < 400; i++) {
      const at = this.heard.findIndex(is);
      if (at >= 0) return this.heard.splice(at, 1)[0]!;
      await sleep(10);
    }
    throw new Error(`nothing of that; there are ${JSON.stringify(this.heard)}`);
  }

  verdict(id: string): Promise<Message> {
    return this.next((message) => message["oMId"] === id);
  }
}

const alarms = ["A0010"].map((alarm) => ({
  name: "doorOpen",
  address: { alarm },
  kind: "alarm" as const,
  active: "active",
  fields: [{ name: "active", address: { field: "active" }, scale: 1, offset: 0 }],
}));

async function meeting(): Promise<{ simulator: Simulator; next: () => Promise<Supervisor> }> {
  const callers: Supervisor[] = [];
  const server = createServer((socket) => void callers.push(new Supervisor(socket))).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const simulator = await start({
    profile: "",
    points: [],
    records: alarms,
    settings: {
      host: "127.0.0.1",
      port,
      siteId: "S",
      component: "TC1",
      reconnect: 50,
      signalGroups: ["A1", "A2"],
    },
    identity: { firmware: "1.2.1" },
  });
  open.push(simulator, server);
  const next = async (): Promise<Supervisor> => {
    for (let i = 0; i < 400 && callers.length === 0; i++) await sleep(10);
    const supervisor = callers.shift()!;
    await supervisor.next(({ type }) => type === "AggregatedStatus");
    return supervisor;
  };
  return { simulator, next };
}

const alarm = (aSp: string, cId = "TC1", aCId = "A0010") => ({
  ntsOId: "",
  xNId: "",
  cId,
  aCId,
  xACId: "",
  xNACId: "",
  aSp,
});
const isAlarm =
  (aSp: string, code = "A0010") =>
  (message: Message) =>
    message.type === "Alarm" && message["aSp"] === aSp && message["aCId"] === code;

describe("alarms of the pretend site", () => {
  it("are told at once for each component of the site file, and no more while they are suspended", async () => {
    const { simulator, next } = await meeting();
    const supervisor = await next();
    expect(await supervisor.next(isAlarm("Issue", "A0201"))).toMatchObject({ cId: "A1", aS: "inActive" });
    expect(await supervisor.next(isAlarm("Issue", "A0201"))).toMatchObject({ cId: "A2", aS: "inActive" });
    await supervisor.next(isAlarm("Issue"));
    supervisor.say("Alarm", alarm("Suspend"));
    expect(await supervisor.next(isAlarm("Suspend"))).toMatchObject({ sS: "Suspended" });
    simulator.tell?.("doorOpen", { active: true });
    supervisor.say("Alarm", alarm("Resume"));
    expect(await supervisor.next(isAlarm("Suspend"))).toMatchObject({ sS: "notSuspended", aS: "Active" });
    expect(supervisor.heard.filter(isAlarm("Issue"))).toEqual([]);
    simulator.tell?.("doorOpen", { active: false });
    expect(await supervisor.next(isAlarm("Issue"))).toMatchObject({ aS: "inActive" });
  });

  it("cannot be asked of a component that has none", async () => {
    const { next } = await meeting();
    const supervisor = await next();
    for (const [cId, code] of [
      ["NOBODY", "A0010"],
      ["A1", "A0010"],
    ] as const) {
      const id = supervisor.say("Alarm", alarm("Request", cId, code));
      expect(await supervisor.verdict(id)).toMatchObject({ type: "MessageNotAck" });
    }
    const id = supervisor.say("AggregatedStatusRequest", { ntsOId: "", xNId: "", cId: "A1" });
    expect(await supervisor.verdict(id)).toMatchObject({ type: "MessageNotAck" });
  });

  it("that were kept in an outage come after all that is, and none of these twice", async () => {
    const { simulator, next } = await meeting();
    const before = await next();
    before.hangUp();
    await sleep(20);
    for (const active of [true, false]) {
      simulator.tell?.("doorOpen", { active });
      await sleep(5);
    }
    const supervisor = await next();
    await sleep(100);
    const told = supervisor.heard.filter(isAlarm("Issue")).map(({ aS }) => aS);
    expect(told).toEqual(["inActive", "Active"]);
  });
});

describe("subscriptions of the pretend site", () => {
  it("need a number of seconds", async () => {
    const { next } = await meeting();
    const supervisor = await next();
    for (const uRt of [undefined, "often", "-1", 5]) {
      const sS = [{ sCI: "S0014", n: "status", uRt, sOc: true }];
      const id = supervisor.say("StatusSubscribe", { ntsOId: "", xNId: "", cId: "TC1", sS });
      expect((await supervisor.verdict(id)).type, String(uRt)).toBe("MessageNotAck");
    }
  });
});

const order = (controller: Controller, status: string, timeout: string) =>
  controller.command(
    "TC1",
    Object.entries({ status, securityCode: "2222", timeout, intersection: "0" }).map(([n, v]) => ({
      cCI: "M0001",
      n,
      v,
    })),
  );
const textOf = (controller: Controller, code: string, name: string, component = "TC1") =>
  (controller.status(component, code, name) as { s: string }).s;

describe("the pretend controller", () => {
  const minuteMs = 60_000;
  let nowMs = Date.UTC(2026, 2, 1);
  const made = (settings: SimulatorOptions["settings"] = {}) =>
    new Controller({ profile: "", points: [], settings, identity: {} }, "TC1", "1.2.1", () => nowMs);
  it("goes back to where it was when the time of a mode is over", () => {
    const controller = made();
    expect(order(controller, "YellowFlash", "10")).toHaveLength(4);
    expect(order(controller, "Dark", "5")).toHaveLength(4);
    expect(textOf(controller, "S0001", "signalgroupstatus")).toBe("bbbb");
    nowMs += 5 * minuteMs;
    expect(textOf(controller, "S0011", "status")).toBe("False");
    expect(textOf(controller, "S0001", "signalgroupstatus")).not.toMatch(/[bc]/);
    order(controller, "Dark", "0");
    nowMs += 10_000 * minuteMs;
    expect(textOf(controller, "S0007", "status")).toBe("False");
  });

  it("refuses values that the SXL does not know", () => {
    for (const [status, timeout] of [
      ["banana", "0"],
      ["Dark", "1441"],
      ["Dark", "soon"],
      ["Dark", "-1"],
    ] as const)
      expect(order(made(), status, timeout)).toMatch(/cannot be/);
  });

  it("has the ids and numbers that the settings give, and traffic data of whole intervals", () => {
    const controller = made({ signalGroups: 11, detectors: ["KK+AG9998=001DL001", { name: "south" }] });
    expect(textOf(controller, "S0001", "signalgroupstatus")).toHaveLength(11);
    expect(textOf(controller, "S0016", "number")).toBe("2");
    const all = textOf(controller, "S0205", "vehicles");
    expect(all).toMatch(/^\d+,\d+$/);
    expect(textOf(controller, "S0205", "vehicles")).toBe(all);
    expect(textOf(controller, "S0201", "vehicles", "KK+AG9998=001DL001")).toBe(all.split(",")[0]);
    const fromMs = Date.parse(textOf(controller, "S0205", "start"));
    expect(fromMs % (5 * minuteMs)).toBe(0);
    expect(nowMs - fromMs).toBeGreaterThanOrEqual(5 * minuteMs);
  });
});

it("an alarm board makes up no alarm that somebody asks for", () => {
  const board = new AlarmBoard("1.2.1", Date.now, { controller: ["TC1"], group: [], detector: [] });
  expect(board.has("TC1", "A0010")).toBe(true);
  expect(board.has("TC1", "A0201")).toBe(false);
});
