import type Database from "better-sqlite3";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { damagedFiles, readEpochs } from "./beside.ts";
import { ownerSentence } from "./faults.ts";
import { openStill } from "./still-file.ts";

/**
 * Whose state folder it is. The gateway's id is part of the name of each event, so a queue must never be sent under
 * another one: a line beside the queue says whose it is, and in the queue the gateway is a device of its own.
 */

function otherOwner(owner: string, gateway: string, queue: string, rows: number | undefined): Error {
  // What is still to be salvaged is kept as well, and nobody has counted it.
  const kept = damagedFiles(queue).length > 0 ? undefined : rows;
  const other = { owner, gateway, folder: dirname(queue), kept };
  return Object.assign(new Error(ownerSentence(other)), { code: "KERB-OUT-OWNER", ...other });
}

/** The gateways whose queue this file has ever been, the newest last; before the check there could be several. */
export function ownersIn(database: Database.Database): string[] {
  return database
    .prepare("SELECT id FROM device WHERE type = 'gateway' AND profile = '' ORDER BY idx")
    .pluck()
    .all() as string[];
}

function countOf(database: Database.Database): number {
  return database.prepare("SELECT count(*) FROM event").pluck().get() as number;
}

/** Who owns the state folder of a gateway that does not run; undefined: nobody yet. */
export function ownerOf(queue: string): string | undefined {
  return readEpochs(queue).owner ?? stillOwner(queue)?.owner;
}

/** undefined: it cannot be read now. */
function stillOwner(queue: string): { owner: string | undefined; kept: number } | undefined {
  if (!existsSync(queue)) return { owner: undefined, kept: 0 };
  try {
    const { database, remove } = openStill(queue);
    try {
      return { owner: ownersIn(database).at(-1), kept: countOf(database) };
    } finally {
      database.close();
      remove();
    }
  } catch {
    return undefined;
  }
}

/** Before anything is touched: throws KERB-OUT-OWNER where the line beside the queue names another gateway. */
export function checkOwnerBeside(queue: string, gateway: string | undefined): void {
  const { owner } = readEpochs(queue);
  if (owner === undefined || gateway === undefined || owner === gateway) return;
  throw otherOwner(owner, gateway, queue, stillOwner(queue)?.kept);
}

/** The same of the queue itself: a file of an older kerb, or one that was carried here from another box. */
export function checkOwner(database: Database.Database, queue: string, gateway: string | undefined): void {
  const owners = ownersIn(database);
  const owner = owners.at(-1);
  if (owner === undefined || gateway === undefined || owners.includes(gateway)) return;
  throw otherOwner(owner, gateway, queue, countOf(database));
}
