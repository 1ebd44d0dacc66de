import { createSocket } from "node:dgram";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { bytes, int, text, tlv } from "../../drivers/snmp/testing.ts";
import { ScriptedSite, type Message } from "../../drivers/rsmp/testing.ts";
import { tag, type EventReader } from "../../gateway/event.ts";
import { loadProfile, mergeSettings, simulatedPoints } from "../../gateway/profiles/profiles.ts";
import { start as startAgent } from "../../simulators/snmp/index.ts";
import { listens, Program, until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";

/** Devices that tell a number in each message and forget it once it is acknowledged, over several protocols. */

export interface Device {
  /** As in the site file. */
  readonly settings: Record<string, unknown>;
  /** How many tell at once, and for how long each pauses after a message. */
  readonly tellers: number;
  readonly pauseMs: number;
  /** The device as it is for one run of the gateway; gives back how it tells a number: true = it was acknowledged. */
  begin(): Promise<{ tell: (number: number) => Promise<boolean>; end: () => void }>;
  numbersOf(reader: EventReader): number[];
  stop(): Promise<void>;
}

const nothing = (): Promise<void> => Promise.resolve();

function valuesOf(reader: EventReader): Record<string, { value: unknown } | undefined> {
  return (reader.object() as { values: Record<string, { value: unknown } | undefined> }).values;
}

/** A waste bin that posts its emptyings; acknowledged with 204. */
export async function webhookBin(): Promise<Device> {
  const port = await freePort();
  const token = "token-of-the-bin-1";
  const listen = `127.0.0.1:${port}`;
  const post = (agent: Agent, number: number): Promise<boolean> => {
    const events = [{ type: "emptied", weight_kg: number / 10, vehicle: "29C-123.45" }];
    const body = JSON.stringify({ filling: 40, events });
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const path = `/hook/${token}`;
    return new Promise((resolve) => {
      const sent = request({ port, host: "127.0.0.1", agent, method: "POST", path, headers });
      sent.on("error", () => resolve(false));
      sent.on("response", (response) => {
        response.resume().on("error", () => {});
        resolve(response.statusCode === 204);
      });
      sent.end(body);
    });
  };
  return {
    settings: {
      driver: "http",
      profile: "generic/webhook-bin",
      webhook: { listen, token, perMinuteMax: 60_000 },
    },
    tellers: 8,
    pauseMs: 0,
    begin: async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 8 });
      return { tell: (number) => post(agent, number), end: () => agent.destroy() };
    },
    numbersOf: (reader) =>
      reader.kind === "transaction" ? [Math.round(Number(valuesOf(reader)["weight"]?.value) * 10)] : [],
    stop: nothing,
  };
}

/** A plug behind mosquitto; acknowledged by the broker, which gives it to whoever has a session there. */
export async function mqttPlug(folder: string, protocol: "3.1.1" | 5): Promise<Device> {
  const port = await freePort();
  const file = join(folder, "mosquitto.conf");
  writeFileSync(
    file,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_type all\n`,
  );
  let runs = 0;
  const broker = new Program("mosquitto", folder, "mosquitto", ["-c", file]);
  await until("mosquitto", 10_000, async () => ((await listens(port)) ? true : undefined));
  return {
    settings: {
      driver: "mqtt",
      profile: "zigbee2mqtt/plug",
      host: "127.0.0.1",
      port,
      protocol,
      available: [],
      variables: { name: "plug" },
    },
    tellers: 4,
    pauseMs: 20,
    begin: async () => {
      runs++;
      await until("the subscription", 60_000, () =>
        readFileSync(broker.log, "utf8").split("\tzigbee2mqtt/plug (QoS 1)").length > runs ? true : undefined,
      );
      const client = await connectAsync(`mqtt://127.0.0.1:${port}`);
      const tell = async (number: number): Promise<boolean> => {
        await client.publishAsync("zigbee2mqtt/plug", `{"energy":${number}}`, { qos: 1 });
        return true;
      };
      return { tell, end: () => client.end(true) };
    },
    numbersOf: (reader) => {
      const found: number[] = [];
      while (reader.kind === "telemetry" && reader.next())
        if (reader.type >= tag.decimal)
          found.push(Math.round(reader.number / 10 ** (reader.type - tag.decimal)));
        else if (reader.type === tag.f64) found.push(Math.round(reader.number));
      return found;
    },
    stop: () => broker.stop(),
  };
}

/** A site that tells alarms, each of a component of its own; acknowledged with MessageAck. */
export async function rsmpSite(): Promise<Device> {
  const port = await freePort();
  const siteId = "SITE-1";
  return {
    settings: { driver: "rsmp", profile: "rsmp/tlc", host: "127.0.0.1", port, siteId, component: "TC1" },
    tellers: 8,
    pauseMs: 0,
    begin: async () => {
      const site = await ScriptedSite.call(port);
      await site.shakeHands(siteId);
      const answering = setInterval(() => answer(site), 5);
      const tell = async (number: number): Promise<boolean> => {
        if (site.closed) return false;
        const id = site.say("Alarm", alarm(`N${number}`));
        return site.verdict(id).then(
          ({ type }) => type === "MessageAck",
          () => false,
        );
      };
      const end = (): void => {
        clearInterval(answering);
        site.hangUp();
      };
      return { tell, end };
    },
    numbersOf: (reader) => {
      const name = reader.kind === "alarm" ? valuesOf(reader)["component"]?.value : undefined;
      return typeof name === "string" && name.startsWith("N") ? [Number(name.slice(1))] : [];
    },
    stop: nothing,
  };
}

/** Acknowledges what kerb asks, and knows none of the statuses. */
function answer(site: ScriptedSite): void {
  const asked = site.received.filter((message) => message["mId"] !== undefined);
  for (const message of asked) {
    site.received.splice(site.received.indexOf(message), 1);
    site.acknowledge(message);
    if (message["type"] !== "StatusRequest") continue;
    const sS = (message["sS"] as Message[]).map((item) => ({ ...item, s: null, q: "undefined" }));
    site.say("StatusResponse", { cId: message["cId"], sTs: new Date().toISOString(), sS });
  }
}

function alarm(cId: string): Message {
  const state = { aSp: "Issue", ack: "notAcknowledged", aS: "Active", sS: "notSuspended" };
  const names = { ntsOId: "", xNId: "", cId, aCId: "A0001", xACId: "", xNACId: "" };
  return { ...names, ...state, aTs: new Date().toISOString(), cat: "D", pri: "2", rvs: [] };
}

/** A UPS that sends informs; acknowledged with a Response. */
export async function snmpUps(): Promise<Device> {
  const port = await freePort();
  const profile = "ups/rfc1628";
  const { settings, ...rest } = loadProfile(profile);
  const agent = await startAgent({
    profile,
    points: simulatedPoints(rest),
    settings: mergeSettings(settings, { host: "127.0.0.1", port: 0 }),
    identity: { vendor: "Kerb Works", model: "K-1", firmware: "2.1", serial: "A7" },
  });
  const tell = (number: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = createSocket("udp4");
      const done = (isTaken: boolean): void => {
        clearTimeout(timer);
        socket.close();
        resolve(isTaken);
      };
      const timer = setTimeout(() => done(false), 2000);
      socket.on("error", () => done(false));
      socket.on("message", () => done(true));
      socket.send(inform(number), port, "127.0.0.1");
    });
  return {
    settings: {
      driver: "snmp",
      profile,
      host: "127.0.0.1",
      port: Number(agent.address.split(":")[1]),
      notifications: { address: "127.0.0.1", port },
    },
    tellers: 8,
    pauseMs: 5,
    begin: async () => ({ tell, end: () => {} }),
    numbersOf: (reader) =>
      reader.kind === "alarm" ? [Number(valuesOf(reader)["timeRemaining"]?.value)].filter(Boolean) : [],
    stop: () => agent.close(),
  };
}

const varbind = (oid: Uint8Array, value: Uint8Array): Buffer => tlv(0x30, tlv(6, oid), value);

/** upsTrapOnBattery (RFC 1628) with the number as the minutes that are left. */
function inform(number: number): Buffer {
  const list = [
    varbind(bytes(0x2b, 6, 1, 2, 1, 1, 3, 0), tlv(0x43, bytes(1))),
    varbind(bytes(0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0), tlv(6, bytes(0x2b, 6, 1, 2, 1, 33, 2, 1))),
    varbind(bytes(0x2b, 6, 1, 2, 1, 33, 1, 2, 3, 0), int(number)),
  ];
  return tlv(0x30, int(1), text("public"), tlv(0xa6, int(number), int(0), int(0), tlv(0x30, ...list)));
}

/** Tells until the signal aborts, and calls `took` with each number that was acknowledged. */
export async function tellOn(
  device: Device,
  tell: (number: number) => Promise<boolean>,
  next: () => number,
  took: (number: number, spentMs: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const one = async (): Promise<void> => {
    while (!signal.aborted) {
      const number = next();
      const begunMs = performance.now();
      const isTaken = await tell(number).catch(() => false);
      if (isTaken) took(number, performance.now() - begunMs);
      await sleep(isTaken ? device.pauseMs : 5);
    }
  };
  await Promise.all(Array.from({ length: device.tellers }, one));
}
