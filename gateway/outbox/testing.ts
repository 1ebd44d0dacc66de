import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { QueueOptions } from "./open.ts";
import { OutboxStore } from "./store.ts";

/** A folder of its own for each test, with the outbox file that the test opens and closes. */

export let folder = "";
export let path = "";
const open: OutboxStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-outbox-"));
  path = join(folder, "outbox.db");
});
afterEach(() => {
  for (const store of open.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

export const bytesMax = 64 * 1024 * 1024;

/** Opens the file; whatever is open at the end of the test is closed then. */
export function start(more: Partial<QueueOptions> = {}): OutboxStore {
  const store = new OutboxStore({ path, bytesMax, ...more });
  open.push(store);
  return store;
}

export function stop(store: OutboxStore): void {
  open.splice(open.indexOf(store), 1);
  store.close();
}
