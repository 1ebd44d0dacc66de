import { writeFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { Socket } from "node:net";
import { clockState, doubtClock, monotonicMs } from "../clock.ts";
import type { Driver } from "../driver.ts";
import { EventWriter } from "../event.ts";
import { gap } from "../gaps.ts";
import { shrinkHeap } from "../memory.ts";
import { toldError } from "../told-error.ts";
import { Handover, type Loss } from "./handover.ts";
import { PollClock } from "./poll-report.ts";
import { DeviceRuns } from "./runs.ts";
import { Strangers } from "./strangers.ts";
import type { FromHost, HostRequest, ToHost, WriteOutcome } from "./messages.ts";
import { unpackDevices } from "./pack.ts";
import { Witness } from "./witness.ts";

/**
 * A host: the child process in which one driver runs all its devices. Control goes over the IPC channel, events
 * go over the pipe on file descriptor 4, and descriptor 5 is the file for its notes.
 */

const dataDescriptor = 4;
const noteDescriptor = 5;
const beatMs = 1000;
/** Until the devices have been connected, recognised and read. */
const shrinkAfterMs = 3000;
/** At stop: until what has been told is on disk and acknowledged, then until the loops have ended, then until the outbox has taken what there is. */
const commitMs = 500;
const loopsEndMs = 1300;
const handOverMs = 1000;
/** All three together: the supervisor kills a host after 3 s. */
const stopMs = 2500;

const witness = new Witness(noteDescriptor);
/** Where the devices run; before `start` there are none. */
const begun = Promise.withResolvers<DeviceRuns>();
let runs: DeviceRuns | undefined;
/** Released before it was known how to start them. */
const releasedEarly: number[] = [];
let handover: Handover | undefined;
let strangers: Strangers | undefined;
let pollClock: PollClock | undefined;
/** Changes are made one after another. */
let changing: Promise<unknown> = begun.promise;

function send(message: FromHost): void {
  process.send?.(message);
}

async function start(message: ToHost & { type: "start" }): Promise<void> {
  doubtClock(message.clock);
  setInterval(beat, beatMs);
  beat();
  witness.watchClosely(message.watchClosely);
  const module = (await import(
    new URL(`../../drivers/${message.driver}/index.ts`, import.meta.url).href
  )) as {
    driver: Driver<unknown, unknown>;
  };
  const { driver } = module;
  const { gatewayIndex } = message;
  const stream = new Socket({ fd: dataDescriptor, readable: false, writable: true });
  // The supervisor has gone: there is nobody to hand events to, and it starts new hosts when it is back.
  stream.on("error", () => process.exit(1));
  handover = new Handover(stream, {
    creditBytes: message.creditBytes,
    ringBytesMax: message.ringBytesMax,
    gapEvent: (loss) => gapEvent(gatewayIndex, loss),
  });
  strangers = new Strangers(message.driver, (data) => tellOfGateway(gatewayIndex, data));
  runs = new DeviceRuns({
    driver,
    folder: message.folder,
    handover,
    witness,
    stranger: (who, why) => strangers?.report(who, why),
    log: (level, device, text) => send({ type: "log", level, device, text }),
    changed: (report) => send({ type: "state", report }),
    countedFromMs: () => pollClock?.fromMs ?? Date.now(),
  });
  for (const device of releasedEarly.splice(0)) runs.release(device);
  runs.start(unpackDevices(message.devices), message.held);
  pollClock = new PollClock(message.sealEveryMs, (fromMs, toMs) => runs?.reportPolls(fromMs, toMs));
  begun.resolve(runs);
  send({ type: "ready" });
  // A host is ended without ceremony; the next one shall find the cache.
  flushCompileCache();
  setTimeout(shrinkHeap, shrinkAfterMs).unref();
}

function tellOfGateway(gatewayIndex: number, data: Record<string, unknown>): void {
  const writer = new EventWriter();
  writer.begin("device-status", gatewayIndex, Date.now(), monotonicMs(), clockState());
  writer.object(data);
  handover?.push(0, writer.bytes());
}

/** Counts by device index as counts by device id. */
function namedCounts(counts: ReadonlyMap<number, number>): Record<string, number> {
  return Object.fromEntries(
    [...counts].map(([index, count]) => [runs?.names.get(index) ?? `#${index}`, count]),
  );
}

function gapEvent(gatewayIndex: number, { events, devices, fromMs, toMs }: Loss): Uint8Array {
  const writer = new EventWriter();
  writer.begin("gap", gatewayIndex, Date.now(), monotonicMs(), clockState());
  const losers = Object.entries(namedCounts(devices)).map(([device, lostCount]) => ({ device, lostCount }));
  writer.object(gap("handover_overflow", fromMs, toMs, { lostCount: events, devices: losers }));
  return writer.bytes();
}

function beat(): void {
  const cpu = process.cpuUsage();
  send({
    type: "beat",
    rssBytes: process.memoryUsage.rss(),
    cpuMs: (cpu.user + cpu.system) / 1000,
    ringBytes: handover?.ringBytes ?? 0,
    dropped: namedCounts(handover?.droppedOf ?? new Map()),
    strangers: strangers?.calls ?? 0,
    ...(strangers?.last === undefined ? {} : { lastStranger: strangers.last }),
  });
}

async function answer(request: HostRequest): Promise<unknown> {
  if (request.name === "devices") return runs?.loops.map((loop) => loop.report) ?? [];
  if (request.name === "change") {
    const change = changing.then(async () => (await begun.promise).change(request));
    changing = change.catch(() => {});
    await change;
    return null;
  }
  const loop = runs?.loop(request.device);
  if (loop === undefined && request.name === "write") return noSuchDevice(request.device);
  if (loop === undefined) throw new Error(`this host runs no device "${request.device}"`);
  if (request.name === "latest") return loop.latest();
  return witness.run(runs?.scope(request.device) ?? { device: -1 }, (): Promise<unknown> => {
    if (request.name === "identify") return loop.identifyNow(request.accept);
    if (request.name === "write") return loop.writing.write(request);
    return request.name === "shown" ? loop.writing.shown(request) : loop.readNow(request.points, request.raw);
  });
}

/** Held back, or of another host: surely nothing was written. */
function noSuchDevice(device: string): WriteOutcome {
  return { state: "failed", code: "no-such-device", reason: `this host runs no device "${device}"` };
}

async function stop(): Promise<void> {
  const endMs = performance.now() + stopMs;
  const atMost = (waitMs: number): number => Math.max(0, Math.min(waitMs, endMs - performance.now()));
  const told = handover?.held(handover.mark(), true);
  await Promise.race([told, new Promise((resolve) => setTimeout(resolve, commitMs))]);
  await Promise.race([runs?.stop(), new Promise((resolve) => setTimeout(resolve, atMost(loopsEndMs)))]);
  pollClock?.end();
  await handover?.end(atMost(handOverMs));
  // The host ends itself: a supervisor that disconnects first never gets the "close" of its child.
  process.send?.({ type: "stopped" } satisfies FromHost, () => process.disconnect());
}

process.on("message", (message: ToHost) => {
  if (message.type === "start") start(message).catch(fail);
  else if (message.type === "credit") handover?.credit(message.bytes, message.dropped);
  else if (message.type === "watch") witness.watchClosely(message.closely);
  else if (message.type === "release") {
    if (runs === undefined) releasedEarly.push(message.device);
    else runs.release(message.device);
  } else if (message.type === "stop") stop().catch(fail);
  else {
    answer(message.request).then(
      (result) => send({ type: "answer", id: message.id, result }),
      (error: Error) => send({ type: "answer", id: message.id, ...toldError(error) }),
    );
  }
});

function fail(error: Error): void {
  process.stderr.write(`${error.stack ?? error.message}\n`);
  process.exit(1);
}

try {
  // When memory is short the kernel shall end a host, not the supervisor.
  writeFileSync("/proc/self/oom_score_adj", "500");
} catch {
  // Not on every system.
}

// A host without its supervisor must not go on polling: the next one would find its ports taken.
process.on("disconnect", () => process.exit(0));
// The supervisor decides when a host ends; a Ctrl-C in the terminal reaches the whole group.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
