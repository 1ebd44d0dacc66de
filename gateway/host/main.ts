import { writeFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { Socket } from "node:net";
import { clockState, doubtClock, monotonicMs } from "../clock.ts";
import type { Driver } from "../driver.ts";
import { EventWriter } from "../event.ts";
import { gap } from "../gaps.ts";
import { shrinkHeap } from "../memory.ts";
import { DeviceLoop } from "./device.ts";
import { phaseOf } from "./groups.ts";
import { Handover, type Loss } from "./handover.ts";
import { Line } from "./line.ts";
import { limitLog } from "./log-rate.ts";
import { PollClock } from "./poll-report.ts";
import { Strangers } from "./strangers.ts";
import type { FromHost, HostDevice, HostRequest, ToHost, WriteOutcome } from "./messages.ts";
import { unpackDevices } from "./pack.ts";
import { type Scope, Witness } from "./witness.ts";

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
/** The devices that are run. */
const loops = new Map<string, DeviceLoop>();
/** Device ids by dictionary index. */
const names = new Map<number, string>();
/** Starts a device that is held back, by its dictionary index. */
const held = new Map<number, () => void>();
/** Released before it was known how to start them. */
const released = new Set<number>();
const scopes = new Map<string, Scope>();
let handover: Handover | undefined;
const ended: Promise<void>[] = [];
let strangers: Strangers | undefined;
let pollClock: PollClock | undefined;

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
  const lines = new Map<string, { line: Line; scope: Scope }>();
  const devices = unpackDevices(message.devices);
  for (const device of devices) names.set(device.index, device.id);
  devices.forEach((device, position) => {
    const own = { device: device.index };
    const key = witness.run(own, () => driver.line?.(device.settings));
    const shared = key === undefined ? undefined : (lines.get(key) ?? { line: new Line(), scope: own });
    if (key !== undefined && shared !== undefined) lines.set(key, shared);
    const run = () =>
      startDevice(
        driver,
        device,
        phaseOf(position, devices.length),
        shared?.line,
        shared?.scope ?? own,
        message.folder,
      );
    if (message.held.includes(device.index) && !released.has(device.index)) held.set(device.index, run);
    else run();
  });
  pollClock = new PollClock(message.sealEveryMs, (fromMs, toMs) => {
    for (const loop of loops.values()) loop.reportPolls(fromMs, toMs);
  });
  send({ type: "ready" });
  // A host is ended without ceremony; the next one shall find the cache.
  flushCompileCache();
  setTimeout(shrinkHeap, shrinkAfterMs).unref();
}

function startDevice(
  driver: Driver<unknown, unknown>,
  device: HostDevice,
  phase: number,
  line: Line | undefined,
  scope: Scope,
  folder: string | undefined,
): void {
  const loop = new DeviceLoop({
    driver,
    device,
    line,
    handover: handover as Handover,
    phase,
    context: {
      deviceId: device.id,
      ...(folder === undefined ? {} : { folder }),
      resident: true,
      clockIsWrong: () => clockState() === "unsynced",
      stranger: (who, why) => strangers?.report(who, why),
      log: limitLog((level, text) => send({ type: "log", level, device: device.id, text })),
    },
    changed: (report) => send({ type: "state", report }),
    turn: () => witness.turn(scope, device.index),
  });
  loops.set(device.id, loop);
  scopes.set(device.id, scope);
  ended.push(witness.run(scope, () => loop.run()));
}

function tellOfGateway(gatewayIndex: number, data: Record<string, unknown>): void {
  const writer = new EventWriter();
  writer.begin("device-status", gatewayIndex, Date.now(), monotonicMs(), clockState());
  writer.object(data);
  handover?.push(0, writer.bytes());
}

/** Counts by device index as counts by device id. */
function namedCounts(counts: ReadonlyMap<number, number>): Record<string, number> {
  return Object.fromEntries([...counts].map(([index, count]) => [names.get(index) ?? `#${index}`, count]));
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
  if (request.name === "devices") return [...loops.values()].map((loop) => loop.report);
  const loop = loops.get(request.device);
  if (loop === undefined && request.name === "write") return noSuchDevice(request.device);
  if (loop === undefined) throw new Error(`this host runs no device "${request.device}"`);
  if (request.name === "latest") return loop.latest();
  return witness.run(scopes.get(request.device) ?? { device: -1 }, (): Promise<unknown> => {
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
  const stopped = Promise.all([...loops.values()].map((loop) => loop.stop()));
  await Promise.race([
    Promise.all([stopped, ...ended]),
    new Promise((resolve) => setTimeout(resolve, atMost(loopsEndMs))),
  ]);
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
    released.add(message.device);
    held.get(message.device)?.();
    held.delete(message.device);
  } else if (message.type === "stop") stop().catch(fail);
  else {
    answer(message.request).then(
      (result) => send({ type: "answer", id: message.id, result }),
      (error: Error) => send({ type: "answer", id: message.id, error: error.message }),
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
