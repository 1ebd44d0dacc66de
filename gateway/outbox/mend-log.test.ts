import Database from "better-sqlite3";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventWriter } from "../event.ts";
import { OutboxCore } from "./core.ts";
import { type Mended, mendLog } from "./mend-log.ts";
import type { FromWorker, OutboxStats } from "./outbox.ts";
import { OutboxStore } from "./store.ts";

/** A queue as a kill leaves it, with its log, in which something is destroyed. */

const frameBytes = 24 + 2048;
let folder = "";
let left = "";
let path = "";
const events = 300;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-log-"));
  left = join(folder, "left.db");
  path = join(folder, "outbox.db");
  const store = new OutboxStore({ path: join(folder, "running.db"), bytesMax: 1 << 24 });
  store.register([{ id: "meter-01", type: "meter", profile: "", points: [] }]);
  const writer = new EventWriter();
  for (let i = 0; i < events; i++) {
    writer.begin("device-status", 1, 1_795_000_000_000 + i, i, "synced");
    writer.object({ state: "online", number: i, filler: "x".repeat(i % 90) });
    store.commit([{ lane: i % 9 === 0 ? 0 : 1, body: Buffer.from(writer.bytes()) }]);
  }
  for (const suffix of ["", "-wal"]) copyFileSync(`${join(folder, "running.db")}${suffix}`, left + suffix);
  store.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What was left, with garbage over the bytes from `at` on. */
function destroyed(at: number, bytes: number): Mended {
  copyFileSync(left, path);
  const log = readFileSync(`${left}-wal`);
  for (let i = at; i < Math.min(log.length, at + bytes); i++) log[i] = (i * 2_654_435_761) % 251;
  writeFileSync(`${path}-wal`, log);
  return mendLog(path);
}

/** Where the frames end that were written since the log was begun anew. */
function endOf(log: Buffer): number {
  let at = 32;
  while (at < log.length && log.subarray(at + 8, at + 16).equals(log.subarray(16, 24))) at += frameBytes;
  return at;
}

/** The rows that the file gives, without a look at whether it is whole. */
function rows(): number {
  const database = new Database(path);
  try {
    return database.prepare("SELECT count(*) FROM event").pluck().get() as number;
  } finally {
    database.close();
  }
}

/** The rows after what a start does with a log like this, and how many it declares as lost. */
function afterStart(log: Mended): { kept: number; lost: number } {
  const suspect = log === "guessed" ? "condemned" : "check";
  const store = new OutboxStore({ path, bytesMax: 1 << 24, suspect });
  let { lost } = store;
  for (let work = store.salvage(["ioc"]); work !== undefined; work = store.salvage(["ioc"])) {
    let result = work.step();
    while (result === undefined) result = work.step();
    lost += result.lost;
    store.lift();
  }
  const ids = [...store.rows(0, 1, events, events), ...store.rows(1, 1, events, events)];
  store.close();
  for (const suffix of ["", "-wal"]) rmSync(path + suffix, { force: true });
  return { kept: ids.length, lost };
}

describe("a destroyed page of the log", () => {
  it("costs the events that it held at the most, and these are declared, wherever it is but in the last commits", () => {
    const bytes = endOf(readFileSync(`${left}-wal`));
    const seen = new Set<Mended>();
    const all = { kept: 0, of: 0 };
    for (let at = 0; at < bytes - 20 * frameBytes; at += 7 * 2048) {
      const log = destroyed(at, (at / 2048) % 2 === 0 ? 4096 : 300);
      seen.add(log);
      const { kept, lost } = afterStart(log);
      expect(`${at}: ${kept + lost}`).toBe(`${at}: ${events}`);
      expect(lost).toBeLessThan(5);
      all.kept += kept;
      all.of += events;
    }
    expect(all.kept / all.of).toBeGreaterThan(0.998);
    expect([...seen].toSorted()).toEqual(["guessed", "mended"]);
  });

  it("is a page whose content alone is destroyed, and which was written again: all is as it was", () => {
    expect(destroyed(32 + 100 * frameBytes + 24 + 100, 1000)).toBe("mended");
    expect(rows()).toBe(events);
  });

  it("costs all that was committed after it where nobody mends the log, and nobody is told", () => {
    destroyed(32 + 100 * frameBytes + 24 + 100, 1000);
    const log = readFileSync(`${left}-wal`);
    log.fill(0xa5, 32 + 100 * frameBytes + 24 + 100, 32 + 100 * frameBytes + 1124);
    writeFileSync(`${path}-wal`, log);
    expect(rows()).toBeLessThan(events - 40);
  });
});

describe("an outbox that starts", () => {
  it.each([
    ["which it mends", 300, /a page of the outbox's log .* nothing is lost/],
    ["and what may be too old", 4096, /the outbox was damaged; it was put aside/],
  ])("tells of such a page, %s", async (_, bytes, told) => {
    const at = 32 + 100 * frameBytes + 24 + 100;
    copyFileSync(left, path);
    const log = readFileSync(`${left}-wal`);
    log.fill(0xa5, at, at + bytes);
    writeFileSync(`${path}-wal`, log);
    const said: FromWorker[] = [];
    const options = { commitAfterMs: 10, commitEventsMax: 100, gateway: "", uplinks: [] };
    const core = new OutboxCore({ ...options, path, bytesMax: 1 << 24 }, (message) => said.push(message));
    const kept = (): number => {
      core.receive({ type: "request", id: 7, name: "stats", args: [] });
      const answer = said.findLast(({ type }) => type === "answer") as never as { result: OutboxStats };
      return answer.result.rows;
    };
    expect(said).toContainEqual({ type: "problem", text: expect.stringMatching(told) as string });
    await expect.poll(kept, { timeout: 10_000 }).toBeGreaterThanOrEqual(events);
    core.receive({ type: "request", id: 9, name: "close", args: [] });
    for (const suffix of ["", "-wal"]) rmSync(path + suffix, { force: true });
  });
});

function untouched(bytes: Buffer): void {
  copyFileSync(left, path);
  writeFileSync(`${path}-wal`, bytes);
  expect(mendLog(path)).toBe("whole");
  expect(readFileSync(`${path}-wal`).equals(bytes)).toBe(true);
}

describe("a log is left as it is", () => {
  it("where nothing is wrong with it, and where there is none", () => {
    untouched(readFileSync(`${left}-wal`));
    rmSync(`${path}-wal`);
    expect(mendLog(path)).toBe("whole");
  });

  it("where its end is torn, wherever that is: nobody was told of such a commit", () => {
    const log = readFileSync(`${left}-wal`);
    const end = endOf(log);
    for (let torn = end; torn > end - 3 * frameBytes; torn -= 97) untouched(log.subarray(0, torn));
  });

  it("where a frame of the last commit is missing, whatever of it came first to the disk", () => {
    const log = readFileSync(`${left}-wal`);
    const frames = (endOf(log) - 32) / frameBytes;
    const isCommit = (i: number) => log.readUInt32BE(32 + i * frameBytes + 4) > 0;
    const last = Array.from({ length: frames }, (_, i) => i).filter(isCommit);
    const [before = 0, end = 0] = last.slice(-2);
    expect(end - before).toBeGreaterThan(1);
    for (let i = before + 1; i <= end; i++) {
      const torn = Buffer.from(log);
      torn.fill(0, 32 + i * frameBytes, 32 + (i + 1) * frameBytes);
      untouched(torn);
    }
  });

  it("where it is of another program, or empty", () => {
    untouched(Buffer.alloc(0));
    untouched(Buffer.alloc(100_000, 0x5a));
  });
});
