import { flushCompileCache } from "node:module";
import { Socket } from "node:net";
import { clockState, monotonicMs } from "../clock.ts";
import type { Driver } from "../driver.ts";
import { EventWriter } from "../event.ts";
import { DeviceLoop } from "./device.ts";
import { Handover, type Loss } from "./handover.ts";
import { Line } from "./line.ts";
import { limitLog } from "./log-rate.ts";
import { PollClock } from "./poll-report.ts";
import type { FromHost, HostDevice, HostRequest, ToHost } from "./messages.ts";

/**
 * A host: the child process in which one driver runs all its devices. Control goes over the IPC channel, events
 * go over the pipe on file descriptor 4.
 */

const dataDescriptor = 4;
const beatMs = 1000;
/** At stop: until the loops have ended, then until the outbox has taken what there is. */
const loopsEndMs = 1300;
const handOverMs = 1000;

const loops = new Map<string, DeviceLoop>();
let handover: Handover | undefined;
const ended: Promise<void>[] = [];
let pollClock: PollClock | undefined;

function send(message: FromHost): void {
  process.send?.(message);
}

async function start(message: ToHost & { type: "start" }): Promise<void> {
  setInterval(beat, beatMs);
  beat();
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
  const lines = new Map<string, Line>();
  const devices = JSON.parse(message.devices) as HostDevice[];
  devices.forEach((device, position) => {
    const key = driver.line?.(device.settings);
    const line = key === undefined ? undefined : (lines.get(key) ?? new Line());
    if (key !== undefined && line !== undefined) lines.set(key, line);
    const loop = new DeviceLoop({
      driver,
      device,
      line,
      handover: handover as Handover,
      phase: position / devices.length,
      context: {
        deviceId: device.id,
        log: limitLog((level, text) => send({ type: "log", level, device: device.id, text })),
      },
      changed: (report) => send({ type: "state", report }),
    });
    loops.set(device.id, loop);
    ended.push(loop.run());
  });
  pollClock = new PollClock(message.sealEveryMs, (fromMs, toMs) => {
    for (const loop of loops.values()) loop.reportPolls(fromMs, toMs);
  });
  send({ type: "ready" });
  // A host is ended without ceremony; the next one shall find the cache.
  flushCompileCache();
}

function gapEvent(gatewayIndex: number, { events, fromMs, toMs }: Loss): Uint8Array {
  const writer = new EventWriter();
  writer.begin("gap", gatewayIndex, Date.now(), monotonicMs(), clockState());
  writer.object({
    cause: "handover_overflow",
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    lostCount: events,
  });
  return writer.bytes();
}

function beat(): void {
  const cpu = process.cpuUsage();
  send({
    type: "beat",
    rssBytes: process.memoryUsage.rss(),
    cpuMs: (cpu.user + cpu.system) / 1000,
    ringBytes: handover?.ringBytes ?? 0,
    droppedEvents: handover?.droppedEvents ?? 0,
  });
}

async function answer(request: HostRequest): Promise<unknown> {
  if (request.name === "devices") return [...loops.values()].map((loop) => loop.report);
  const loop = loops.get(request.device);
  if (loop === undefined) throw new Error(`this host runs no device "${request.device}"`);
  return request.name === "latest" ? loop.latest() : loop.readNow(request.points, request.raw);
}

async function stop(): Promise<void> {
  const stopped = Promise.all([...loops.values()].map((loop) => loop.stop()));
  await Promise.race([
    Promise.all([stopped, ...ended]),
    new Promise((resolve) => setTimeout(resolve, loopsEndMs)),
  ]);
  pollClock?.end();
  await handover?.end(handOverMs);
  // The host ends itself: a supervisor that disconnects first never gets the "close" of its child.
  process.send?.({ type: "stopped" } satisfies FromHost, () => process.disconnect());
}

process.on("message", (message: ToHost) => {
  if (message.type === "start") start(message).catch(fail);
  else if (message.type === "credit") handover?.credit(message.bytes);
  else if (message.type === "stop") stop().catch(fail);
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

// A host without its supervisor must not go on polling: the next one would find its ports taken.
process.on("disconnect", () => process.exit(0));
// The supervisor decides when a host ends; a Ctrl-C in the terminal reaches the whole group.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
