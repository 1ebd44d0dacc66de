import Database from "better-sqlite3";
import { join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";
import type { EncodingName } from "../uplink/encoding.ts";
import { Box, gateway } from "../uplink/testing.ts";
import type { Certificate } from "./certificates.ts";
import { Receiver, type ReceiverOptions } from "./receiver.ts";
import { temporaryFolder } from "./testing.ts";

/** What the tests of certificates share: a box, a receiver, and a clock that the test sets. */

export const hourMs = 3_600_000;
export const startMs: number = Date.UTC(2026, 10, 1, 5);

let folder: ReturnType<typeof temporaryFolder>;
export let receiver: Receiver;
export let box: Box;
const open: { close: () => void }[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  // Both clocks: what passes here is time, and no clock is set.
  vi.spyOn(process, "hrtime").mockImplementation(() => [
    Math.floor(Date.now() / 1000),
    (Date.now() % 1000) * 1e6,
  ]);
  at(0);
  folder = temporaryFolder();
  receiver = receive();
});
afterEach(() => {
  for (const one of open.splice(0).toReversed()) one.close();
  folder.remove();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** The clock stands at this hour of the test, and a little. Timers run. */
export function at(hour: number): void {
  vi.setSystemTime(startMs + hour * hourMs);
}

export function iso(hour: number): string {
  return new Date(startMs + hour * hourMs).toISOString();
}

export function file(name: string): string {
  return join(folder.path, name);
}

/** Opens a further receiver. */
export function receive(name = "receiver.db", more: Omit<ReceiverOptions, "database"> = {}): Receiver {
  const made = new Receiver({ database: file(name), ...more });
  open.push(made);
  return made;
}

/** Closes the receiver, if it is open, and opens it again. */
export function reopen(...how: Parameters<typeof receive>): void {
  if (open.includes(receiver)) stop(receiver);
  receiver = receive(...how);
}

/** The same, and the box goes on with it. */
export function restartReceiver(name?: string): void {
  reopen(name);
  for (const uplink of box.uplinks) uplink.receiver = receiver;
}

/** Starts the box with an uplink to each of the receivers. */
export function start(
  encodings: readonly EncodingName[] = ["columnar"],
  receivers: readonly Receiver[] = [receiver],
  name = "outbox.db",
): void {
  box = new Box(file(name), [...receivers], [...encodings]);
  open.push(box);
}

export function stop(one: { close: () => void }): void {
  open.splice(open.indexOf(one), 1);
  one.close();
}

/** Changes the receiver's database as somebody with access to its disk can, and opens it again. */
export function tamper(change: (database: Database.Database) => void, name = "receiver.db"): void {
  stop(receiver);
  const database = new Database(file(name));
  change(database);
  database.close();
  receiver = receive(name);
}

export async function certificates(hours: number, from = 0, of = receiver): Promise<Certificate[]> {
  const span = { fromMs: startMs + from * hourMs, toMs: startMs + (from + hours) * hourMs };
  return (await of.certificates(gateway, span, 168, true)).certificates;
}

export async function states(hours: number, from = 0, of = receiver): Promise<string[]> {
  return (await certificates(hours, from, of)).map(({ state }) => state);
}

/** `count` events in each of these hours, all delivered and sealed. */
export function run(hours: number, count = 6): void {
  for (let hour = 0; hour <= hours; hour++) {
    at(hour);
    box.accept(count);
    box.settle();
  }
}

/** This hour begins: an event of it is delivered, and with it the seal of what came before. */
export function beginHour(hour: number): void {
  at(hour);
  box.accept(1);
  box.settle();
}
