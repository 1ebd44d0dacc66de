import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { clockState } from "../../clock.ts";
import { checkJournal } from "../../commands/journal-check.ts";
import { linesOf, readLine, segmentsOf } from "../../commands/journal-lines.ts";
import type { CommandState } from "../../commands/state.ts";
import type { DeviceConfig, Site } from "../../config/config.ts";
import { said, type Text } from "../../diagnosis/facts.ts";
import type { Known } from "../../diagnosis/history.ts";
import { climbed } from "../../diagnosis/ladder.ts";
import { problemsOf } from "../../diagnosis/problems.ts";
import type { ErrorCode } from "../../errors.ts";
import { deviceCause } from "../../health/causes.ts";
import type { Identified, LatestReading, Unwritable } from "../../host/messages.ts";
import type { Asked, Gathered } from "../../report/gathered.ts";
import type { GatewayBooks } from "../../supervisor.ts";
import { askedAnew, knownLost } from "../why/known.ts";
import { askOnce, runningStatus } from "../site.ts";

/** Asks what a report needs: the running gateway, else the devices. Nothing that is asked changes a device. */

/** Through a gateway, whose hosts keep each line to one at a time; its control socket takes 32 clients, of all verbs. */
const atOnce = 6;
/** Without a gateway: how long a device is listened to that tells its values by itself. */
const listenMs = 4000;

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

const failed = (code: ErrorCode | undefined, seen: Text): NonNullable<Asked["failure"]> => ({
  ...(code === undefined ? {} : { code }),
  seen,
});

/** How the running gateway has a device. */
interface Running {
  socket: string;
  state: string | undefined;
  latest: LatestReading[];
}

let turn: Promise<unknown> = Promise.resolve();

/** One at a time: each asks several devices at once, and the control socket takes only so many clients. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const mine = turn.then(work);
  turn = mine.catch(() => {});
  return mine;
}

/** One device through the gateway. What is lost is not asked: the gateway has said why. */
async function askGateway(
  device: DeviceConfig,
  { socket, state, latest }: Running,
  site: Site,
  signal: AbortSignal,
): Promise<Asked> {
  if (state !== "online" && state !== "listening") return { readings: latest };
  const sinceMs = Date.now();
  const read = await askedAnew(socket, device, signal);
  if ("failure" in read) {
    const beside = { sinceMs, configured: site.devices, signal };
    const known = await inTurn(() => knownLost(socket, device, read.failure, beside));
    const found = await climb(device, site, known, signal);
    // It may answer to whoever asks it past the gateway, which could not read it all the same.
    if (found.failure !== undefined) return { ...found, readings: latest };
    const { code, message } = read.failure;
    return { readings: latest, failure: failed(deviceCause(code), said(message)) };
  }
  const args = { device: device.id, accept: false };
  const who = await askOnce<Identified>(socket, { verb: "identify", args }, signal).catch(() => undefined);
  return "notAsked" in read
    ? { readings: latest, ...who, failure: failed(undefined, said(read.notAsked)) }
    : { readings: read.readings, latencyMs: read.ms, ...who };
}

/** What `kerb why` would see of a device; `known`: what the gateway knows that has lost it. */
async function climb(
  device: DeviceConfig,
  { devices, gateway }: Site,
  known: Known | undefined,
  signal: AbortSignal,
): Promise<Asked> {
  const siblings = devices.filter(({ id }) => id !== device.id);
  const { stateFolder } = gateway;
  const whole = { device, siblings, stateFolder, known, signal, listenMs, hearsAll: true };
  const { failed: rung, causes, facts, steps, identity, readings } = await climbed(whole);
  const { "identity.mismatch": mismatch, "unit.doubt": code, "unit.reason": reason = "" } = facts;
  const hasAnswered = rung === undefined || ["identity", "values", "upstream"].includes(rung);
  const asked: Asked = {
    readings: [...readings],
    ...(hasAnswered ? { identity } : {}),
    ...(code === undefined
      ? {}
      : { unwritable: { code: code as Unwritable["code"], reason: String(reason) } }),
  };
  const latencyMs = steps.find(({ step }) => step === "values")?.ms;
  if (latencyMs !== undefined) asked.latencyMs = latencyMs;
  if (mismatch !== undefined) asked.mismatch = String(mismatch);
  if (hasAnswered && mismatch === undefined) {
    // One that tells by itself may rightly have nothing to tell yet.
    const isQuiet = readings.every(({ unheard }) => unheard === true);
    const found = causes.filter(({ step }) => !isQuiet || step !== "values");
    // Another unit is read on, as the gateway would.
    const causesOf = found.map((one) =>
      one.step === "identity" ? { ...one, severity: "warn" as const } : one,
    );
    return { ...asked, causes: causesOf };
  }
  const [cause, ...others] = causes;
  const evidence = steps.find(({ verdict }) => verdict === "failed")?.evidence ?? { en: "", vi: "" };
  const failure = failed(cause?.code ?? deviceCause(String(facts["error"])), cause?.seen ?? evidence);
  return { ...asked, failure, causes: others };
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

/** `asked`: called after each device. Rejects with `SilentError` where a gateway runs and does not answer. */
export async function gather(
  site: Site,
  socket: string,
  asked: (count: number, all: number) => void,
  signal: AbortSignal,
): Promise<Gathered> {
  const { devices, gateway } = site;
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
      ? await askGateway(
          device,
          { socket, state: known.get(id)?.state, latest: latest?.[id] ?? [] },
          site,
          signal,
        )
      : await climb(device, site, undefined, signal);
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
  const readings = Object.fromEntries([...found].map(([id, one]) => [id, one.readings]));
  const seen = { readings, nowMs: Date.now(), configured: devices };
  return {
    status,
    problems: status === undefined ? [] : await problemsOf({ status, ...seen }),
    books,
    clock: status?.gateway.clock ?? clockState(),
    devices: found,
    ...journal,
    missing,
  };
}
