import { openSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, DeviceError, type Driver, type Sink } from "../../gateway/driver.ts";
import { closed, within } from "../../gateway/host/identify.ts";
import type { Lane } from "./reconnects-devices.ts";
import { serve } from "./remote.ts";

/** One driver alone in a process, as in its host, for `reconnects.trial.ts`: connects, uses, loses, closes. */

/** What must be as it was when every connection is closed. */
export interface Footprint {
  rssBytes: number;
  heapBytes: number;
  descriptors: number;
  /** Timers, sockets and the like that keep a process alive, by kind. */
  handles: Record<string, number>;
}

const callMs = 3000;
/** A subscription under a fault is given up after this. */
const quietMs = 150;

interface Open {
  connection: Connection<unknown>;
  lane: Lane;
  over: Promise<string> | undefined;
  /** Settles when the subscription has handed on something that the device has told. */
  heard: Promise<void>;
  stop: AbortController;
}

let driver: Driver<unknown, unknown>;
let lanes: Lane[] = [];
const opened = new Map<number, Open>();
const kept: unknown[] = [];
/** Not 0: each connection leaves a timer, an open file and so many bytes behind, which the trial must find. */
let leakBytes = 0;

/** "good", or the code of the `DeviceError`; anything else breaks rule 6. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "good";
  } catch (error) {
    if (error instanceof DeviceError) return error.code;
    throw new Error(`a driver may throw nothing but a DeviceError: ${String(error)}`, { cause: error });
  }
}

const bounded = (work: (signal: AbortSignal) => Promise<unknown>) =>
  within(callMs, new AbortController().signal, work);

function leak(connection: Connection<unknown>): void {
  setInterval(() => {}, 1e9);
  openSync("/dev/null", "r");
  kept.push(() => connection, Buffer.alloc(leakBytes / 2).toString("hex"));
}

function subscribe(open: Open): Open["over"] {
  const { connection, lane, stop } = open;
  const { points, records = [] } = lane;
  const first = Promise.withResolvers<void>();
  open.heard = first.promise;
  const heard = () => first.resolve();
  const sink: Sink = { alive: () => {}, readings: heard, record: heard, poll: () => {} };
  const over = connection.subscribe?.({ points, records, sink, signal: stop.signal });
  return over === undefined ? undefined : outcome(over);
}

const functions = {
  async load(name: string, given: Lane[], planted: number): Promise<void> {
    ({ driver } = (await import(new URL(`../../drivers/${name}/index.ts`, import.meta.url).href)) as {
      driver: Driver<unknown, unknown>;
    });
    lanes = given;
    leakBytes = planted;
  },

  /** Connects and reads, or subscribes. */
  async open(index: number): Promise<string> {
    const lane = lanes[index] as Lane;
    return outcome(
      bounded(async (signal) => {
        const context = { deviceId: `device-${index}`, log: () => {} };
        const connection = await driver.connect(lane.settings, context, signal);
        const stop = new AbortController();
        const open: Open = { connection, lane, over: undefined, heard: Promise.resolve(), stop };
        opened.set(index, open);
        if (leakBytes > 0) leak(connection);
        if (lane.records !== undefined) open.over = subscribe(open);
        else await connection.read(lane.points, { signal });
      }).catch(async (error: unknown) => {
        await functions.close(index);
        throw error;
      }),
    );
  },

  /** "heard" when the subscription has handed on anything yet, "nothing" after a moment, or how it has ended. */
  async heard(index: number): Promise<string> {
    const open = opened.get(index);
    if (open?.over === undefined) return "closed";
    return Promise.race([open.heard.then(() => "heard"), open.over, sleep(quietMs, "nothing")]);
  },

  /** Uses the connection while something is wrong with the device. */
  async use(index: number): Promise<string> {
    const open = opened.get(index);
    if (open === undefined) return "closed";
    if (open.over !== undefined) return Promise.race([open.over, sleep(quietMs, "quiet")]);
    return outcome(bounded((signal) => open.connection.read(open.lane.points, { signal })));
  },

  async close(index: number): Promise<void> {
    const open = opened.get(index);
    opened.delete(index);
    if (open === undefined) return;
    // A clean end half of the time; else the connection is closed under its subscription.
    if (index % 2 === 0) open.stop.abort();
    await closed(open.connection);
    await open.over;
  },

  /** After the garbage has gone; nothing is open. */
  async footprint(): Promise<Footprint> {
    for (let i = 0; i < 4; i++) {
      globalThis.gc?.();
      await sleep(50);
    }
    const handles: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
    return {
      rssBytes: process.memoryUsage.rss(),
      heapBytes: process.memoryUsage().heapUsed,
      descriptors: readdirSync("/proc/self/fd").length,
      handles,
    };
  },
};

export type DriverProcess = typeof functions;

serve(functions);
