import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { gap } from "../gaps.ts";
import { damagedFiles, readEpochs, writeEpochs } from "../outbox/beside.ts";
import { urgentEvent } from "../outbox/own-events.ts";
import { openDatabase } from "../outbox/schema.ts";
import { OutboxStore } from "../outbox/store.ts";
import { checkWay, handOver } from "./restore.ts";

/**
 * A box that is called otherwise from now on. Its queue can only be sent under the old name, so it is put aside as a
 * whole, and the new name begins one of its own; what was left in the old one is told under the new name.
 */

export interface Adopting {
  queue: string;
  bytesMax: number;
  owner: string;
  gateway: string;
}

export interface Adopted {
  gateway: string;
  former: string;
  /** Events that nobody has delivered; they are in `folder`. */
  left: number;
  folder: string;
}

/** What is kept of a queue that nobody has open, with its log folded in. Throws SQLite's error. */
function settled(queue: string, bytesMax: number): { left: number; oldestMs: number } {
  if (!existsSync(queue)) return { left: 0, oldestMs: Date.now() };
  const database = openDatabase(queue, bytesMax);
  try {
    const row = database.prepare("SELECT count(*) AS left, min(recorded) AS oldestMs FROM event").get();
    const { left, oldestMs } = row as { left: number; oldestMs: number | null };
    return { left, oldestMs: oldestMs ?? Date.now() };
  } finally {
    database.close();
  }
}

/** Whether rows of a damaged file wait to be fetched: only the gateway that wrote them can do that. */
export function isSalvaging(queue: string): boolean {
  return existsSync(dirname(queue)) && damagedFiles(queue).length > 0;
}

/** Puts the queue of `owner` aside and begins one of `gateway`. Nobody may have it open. */
export function adoptQueue({ queue, bytesMax, owner, gateway }: Adopting): Adopted {
  const state = dirname(queue);
  const name = join("former", `${owner}-${Date.now()}`);
  const folder = join(state, name);
  const { left, oldestMs } = settled(queue, bytesMax);
  for (const one of ["former", name]) {
    if (!existsSync(join(state, one))) mkdirSync(join(state, one), { mode: 0o750 });
    checkWay(state, join(one, "outbox.db"));
  }
  // Written first: cut short before the queue has moved, the folder still belongs to its old owner.
  const { newest, records } = readEpochs(queue);
  writeEpochs(join(folder, "outbox.db"), newest, records, owner);
  for (const file of ["outbox.db", "dictionary"])
    if (existsSync(join(state, file))) renameSync(join(state, file), join(folder, file));
  // Numbers begin anew under another name; epochs never do.
  writeEpochs(queue, newest, [], gateway);
  const store = new OutboxStore({ path: queue, bytesMax, gateway });
  try {
    const [self] = store.register([{ id: gateway, type: "gateway", profile: "", points: [] }]);
    const device = self?.index ?? 0;
    const told = [urgentEvent("device-status", device, { state: "renamed", former: owner, left })];
    if (left > 0) {
      const lost = gap("storage", oldestMs, Date.now(), { former: owner, lostCount: left });
      told.push(urgentEvent("gap", device, lost));
    }
    store.commit(told);
  } finally {
    store.close();
  }
  handOver(state, ["former", name, join(name, "*")]);
  return { gateway, former: owner, left, folder };
}
