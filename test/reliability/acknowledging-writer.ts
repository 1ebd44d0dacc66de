import { closeSync, openSync, readSync, writeSync } from "node:fs";
import Database from "better-sqlite3";
import { EventWriter } from "../../gateway/event.ts";
import { OutboxStore, type RowLane, type StoredRow } from "../../gateway/outbox/store.ts";

/**
 * The victim of kill and power-cut trials: `acknowledging-writer.ts FILE ACKNOWLEDGED [product|normal] [COMMITS]`.
 * Commits without end (or COMMITS times), and after each commit writes two doubles at the start of ACKNOWLEDGED: the
 * newest accepted id, and the id up to which rows may be gone because they were about to be released.
 * "normal" is the control: the same load through SQLite with synchronous=NORMAL, which loses rows at a power cut.
 */

const [path = "", acknowledgedPath = "", mode = "product", commits = "Infinity"] = process.argv.slice(2);
const keptRows = 500;
const commitsPerRelease = 20;

const acknowledged = openSync(acknowledgedPath, "a+");
closeSync(acknowledged);
const descriptor = openSync(acknowledgedPath, "r+");
const record = Buffer.alloc(16);
readSync(descriptor, record, 0, 16, 0);
const releasedBefore = record.readDoubleLE(8);
function acknowledge(newest: number, released: number): void {
  record.writeDoubleLE(newest, 0);
  record.writeDoubleLE(released, 8);
  writeSync(descriptor, record, 0, 16, 0);
}

const writer = new EventWriter();
function body(readings: number): Buffer {
  writer.begin("telemetry", 1, Date.now(), 0, "synced");
  writer.count(readings);
  for (let i = 0; i < readings; i++) writer.reading(1, i, 0);
  return Buffer.from(writer.bytes());
}

function events(): { lane: RowLane; body: Buffer }[] {
  return Array.from({ length: 1 + Math.floor(Math.random() * 50) }, () => ({
    lane: Math.random() < 0.1 ? 0 : 1,
    body: body(Math.floor(Math.random() * 40)),
  }));
}

function writeProduct(): void {
  const store = new OutboxStore({ path, bytesMax: 256 * 1024 * 1024 });
  const dictionary = store.dictionary.hash;
  const cuts = (rows: StoredRow[]) => {
    const telemetry = rows.filter(({ lane }) => lane === 1).map(({ id }) => id);
    const [first] = telemetry;
    if (first === undefined) return [];
    const last = telemetry.at(-1) ?? first;
    return [
      { uplink: "ioc", cut: { rowLane: 1 as const, first, last, lane: "live" as const, dictionary, fix: 0 } },
    ];
  };
  let released = releasedBefore;
  for (let i = 1; i <= Number(commits); i++) {
    const newest = store.commit(events(), cuts).at(-1)?.id ?? 0;
    acknowledge(newest, released);
    if (i % commitsPerRelease !== 0) continue;
    released = Math.max(released, newest - keptRows);
    acknowledge(newest, released);
    for (const epoch of store.epochs) {
      const seq = Math.min(released, store.lastIdOf(epoch)) - epoch.base;
      if (seq > 0) store.release("ioc", epoch.epoch, seq, ["ioc"], 1_000_000);
    }
  }
}

function writeNormal(): void {
  const database = new Database(path);
  database.pragma("locking_mode = EXCLUSIVE");
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.exec(
    "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)",
  );
  const insert = database.prepare("INSERT INTO event (body) VALUES (?)");
  for (let i = 1; i <= Number(commits); i++) {
    let newest = 0;
    database.transaction(() => {
      for (const event of events()) newest = Number(insert.run(event.body).lastInsertRowid);
    })();
    acknowledge(newest, 0);
  }
}

if (mode === "normal") writeNormal();
else writeProduct();
