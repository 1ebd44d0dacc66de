import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { clockState } from "../clock.ts";
import { checkJournal } from "../commands/journal-check.ts";
import { linesOf, readLine, segmentsOf } from "../commands/journal-lines.ts";
import type { CommandState } from "../commands/state.ts";
import type { DeviceConfig, Site } from "../config.ts";
import { NotRunningError } from "../control.ts";
import { DeviceError } from "../driver.ts";
import { deviceErrorCode } from "../errors.ts";
import type { Identified, LatestReading } from "../host/messages.ts";
import type { Asked, Gathered } from "../report/gathered.ts";
import type { GatewayBooks, GatewayStatus } from "../supervisor.ts";
import { FieldDevice } from "./field.ts";
import { pause } from "./output.ts";
import { askOnce } from "./site.ts";

/** Asks what a report needs: the running gateway, else the devices. Nothing that is asked changes a device. */

/** Through a gateway, whose hosts keep each line to one at a time; its control socket takes 32 clients, of all verbs. */
const atOnce = 6;
/** Without a gateway: how long a device is listened to that tells its values by itself. */
const listenMs = 4000;
const lookMs = 200;

/** Works off the queues beside each other, each `width` at a time. */
async function workOff(
  queues: readonly DeviceConfig[][],
  width: number,
  work: (device: DeviceConfig) => Promise<void>,
): Promise<void> {
  const run = async (queue: DeviceConfig[]): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  await Promise.all(queues.flatMap((queue) => Array.from({ length: width }, () => run(queue))));
}

const failed = (error: unknown): NonNullable<Asked["failure"]> => {
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof DeviceError ? deviceErrorCode(error.code) : undefined;
  return { ...(code === undefined ? {} : { code }), seen: { en: text, vi: text } };
};

/** One device through the gateway. What is lost is not asked: the gateway has said why. */
async function askGateway(
  socket: string,
  device: string,
  state: string | undefined,
  latest: LatestReading[],
): Promise<Asked> {
  if (state !== "online" && state !== "listening") return { readings: latest };
  const who = await askOnce<Identified>(socket, {
    verb: "identify",
    args: { device, accept: false },
  }).catch(() => undefined);
  const asked: Asked = { readings: latest, ...who };
  const startedMs = performance.now();
  try {
    const args = { device, points: [], raw: false };
    asked.readings = await askOnce<LatestReading[]>(socket, { verb: "read", args });
    asked.latencyMs = performance.now() - startedMs;
  } catch (error) {
    asked.failure = failed(error);
  }
  return asked;
}

/** One device at the end of its wire. */
async function askDirectly(device: DeviceConfig, stateFolder: string, signal: AbortSignal): Promise<Asked> {
  let field: FieldDevice | undefined;
  const asked: Asked = { readings: [] };
  try {
    field = await FieldDevice.open(device, stateFolder, signal);
    asked.identity = field.identity;
    if (field.mismatch !== undefined) {
      asked.mismatch = field.mismatch;
      asked.failure = { code: "KERB-DEV-WRONG-DEVICE", seen: { en: field.mismatch, vi: field.mismatch } };
      return asked;
    }
    const startedMs = performance.now();
    const read = () => field?.read({ points: [], raw: false }, signal) ?? Promise.resolve([]);
    asked.readings = await read();
    asked.latencyMs = performance.now() - startedMs;
    const isUnheard = () => asked.readings.some(({ unheard }) => unheard === true);
    while (isUnheard() && performance.now() - startedMs < listenMs && !signal.aborted) {
      await pause(lookMs, signal);
      asked.readings = await read();
    }
  } catch (error) {
    asked.failure = failed(error);
  } finally {
    await field?.close();
  }
  return asked;
}

type Journal = Pick<Gathered, "audit" | "writes">;

/** The newest finished write of each device, and whether the journal is what was written. */
async function readJournal(stateFolder: string): Promise<Journal> {
  const folder = join(stateFolder, "commands");
  const writes: Journal["writes"] = new Map();
  try {
    await access(folder, constants.R_OK | constants.X_OK);
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { audit: isAbsent ? "none" : "unread", writes };
  }
  const segments = await segmentsOf(folder);
  if (segments.length === 0) return { audit: "none", writes };
  for (const segment of segments)
    for await (const { text, isWhole } of linesOf(folder, segment)) {
      const entry = isWhole ? readLine(text) : undefined;
      const state = entry?.ev === "result" ? (entry["state"] as CommandState) : undefined;
      if (state === undefined || (state.state !== "done" && state.state !== "failed")) continue;
      const { id, dev, at, args = {}, readBack = null, by = null } = state;
      if (state.mode === "arm" || state.mode === "abort") continue;
      writes.set(dev, { id, at: new Date(at).toISOString(), state: state.state, args, readBack, by });
    }
  return { audit: (await checkJournal(folder)).break === undefined ? "whole" : "broken", writes };
}

const runningStatus = (socket: string): Promise<GatewayStatus | undefined> =>
  askOnce<GatewayStatus>(socket, { verb: "status" }).catch((error: unknown) => {
    if (error instanceof NotRunningError) return undefined;
    throw error;
  });

/** `asked`: called after each device. Rejects with `SilentError` where a gateway runs and does not answer. */
export async function gather(
  { devices, gateway }: Site,
  socket: string,
  asked: (count: number, all: number) => void,
  signal: AbortSignal,
): Promise<Gathered> {
  const status = await runningStatus(socket);
  const isRunning = status !== undefined;
  const latest = isRunning
    ? await askOnce<Record<string, LatestReading[]>>(socket, { verb: "latest" }).catch(() => undefined)
    : {};
  const found: Gathered["devices"] = new Map();
  const known = new Map(status?.devices.map((device) => [device.id, device]));
  const wanted = devices.filter(({ id, enabled }) => enabled && (!isRunning || known.has(id)));
  let count = 0;
  asked(0, wanted.length);
  // Without a gateway: one device of a driver at a time, because they may share a line.
  const queues = isRunning ? [[...wanted]] : [...Map.groupBy(wanted, ({ driver }) => driver).values()];
  await workOff(queues, isRunning ? atOnce : 1, async (device) => {
    if (signal.aborted) return;
    const { id } = device;
    const one = isRunning
      ? await askGateway(socket, id, known.get(id)?.state, latest?.[id] ?? [])
      : await askDirectly(device, gateway.stateFolder, signal);
    found.set(id, one);
    asked(++count, wanted.length);
  });
  const books = isRunning
    ? await askOnce<GatewayBooks>(socket, { verb: "books" }).catch(() => undefined)
    : undefined;
  const journal = await readJournal(gateway.stateFolder).catch((): Journal => ({
    audit: "unread",
    writes: new Map(),
  }));
  const missing: Gathered["missing"] = [
    ...(isRunning ? [] : ["gateway" as const]),
    ...(books === undefined ? ["books" as const] : []),
    ...(journal.audit === "unread" ? ["audit" as const] : []),
    ...(latest === undefined ? ["readings" as const] : []),
  ];
  return {
    status,
    books,
    clock: status?.gateway.clock ?? clockState(),
    devices: found,
    ...journal,
    missing,
  };
}
