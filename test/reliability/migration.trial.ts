import Database from "better-sqlite3";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { migrations, openDatabase } from "../../gateway/outbox/schema.ts";
import { OutboxStore } from "../../gateway/outbox/store.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

const rows = 20_000;
const opener = fileURLToPath(new URL("migrating-opener.ts", import.meta.url));
const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));

const bytesMax = 256 * 1024 * 1024;

/** product: as the gateway does. steps: with a heavy step of a next version behind the product's own. */
export type How = "product" | "steps";

/** Long enough to be hit: a column, a change to each row, an index. */
function heavyStep(database: Database.Database): void {
  database.exec(`
    ALTER TABLE event ADD COLUMN trial INTEGER;
    UPDATE event SET trial = id % 7;
    CREATE INDEX event_trial ON event (trial);
  `);
}

/** Opens a file, which brings it up to date. */
export function open(path: string, how: How): void {
  if (how === "product") new OutboxStore({ path, bytesMax }).close();
  else openDatabase(path, bytesMax, [...migrations, heavyStep]).close();
}

/** A file as the first version left it, with a backlog. */
function writeFirstVersion(path: string): void {
  const database = openDatabase(path, bytesMax, migrations.slice(0, 1));
  const insert = database.prepare("INSERT INTO event (lane, recorded, crc, body) VALUES (1, ?, 0, ?)");
  database.transaction(() => {
    for (let i = 0; i < rows; i++) insert.run(1_795_000_000_000 + i, Buffer.alloc(150, i));
  })();
  database.exec(
    `INSERT INTO epoch VALUES (1, 0, 'boot', 0, 0); UPDATE books SET accepted = ${rows} WHERE lane = 1`,
  );
  database.close();
}

/**
 * Version, tables and how many rows have each column: what tells a file before the migration from one behind it, and
 * both from a mixture. Tables that an opening itself writes to are left out.
 */
function fingerprint(path: string): string {
  const database = new Database(path);
  try {
    const check = database.pragma("quick_check", { simple: true });
    const version = database.pragma("user_version", { simple: true });
    const schema = database.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name").all();
    const tables = database
      .prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('epoch', 'epoch_end', 'dictionary', 'sqlite_sequence')",
      )
      .pluck()
      .all() as string[];
    const counts = tables.map((table) => {
      const columns = (database.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
      const counted = columns.map((column) => `count("${column}")`).join(", ");
      return [table, database.prepare(`SELECT ${counted} FROM ${table}`).raw().get()];
    });
    return JSON.stringify({ check, version, schema, counts });
  } finally {
    database.close();
  }
}

/** Starts the opener; resolves at the moment in which it begins to open. */
async function beginOpening(path: string, how: How) {
  const child = spawn(process.execPath, [opener, path, how], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  await once(child.stdout, "data");
  return { child, ended };
}

async function killMigration(folder: string, how: How, kills: number) {
  const template = join(folder, "template.db");
  const path = join(folder, "outbox.db");
  const fresh = () => {
    for (const suffix of ["-wal", "-journal"]) rmSync(path + suffix, { force: true });
    copyFileSync(template, path);
  };
  fresh();
  const begun = performance.now();
  open(path, how);
  const spanMs = 2 * (performance.now() - begun);
  const [before, after] = [fingerprint(template), fingerprint(path)];
  const found = { before: 0, after: 0, mixed: 0, unfinished: 0 };
  for (let i = 0; i < kills; i++) {
    fresh();
    const { child, ended } = await beginOpening(path, how);
    await sleep(Math.random() * spanMs);
    child.kill("SIGKILL");
    await ended;
    const now = fingerprint(path);
    found[now === before ? "before" : now === after ? "after" : "mixed"]++;
    // Once in a while: it takes as long as all the rest.
    if (i % 5 !== 0) continue;
    open(path, how);
    if (fingerprint(path) !== after) found.unfinished++;
  }
  return found;
}

/** A gateway on a file of a newer kerb: how it ends, and whether it says so in the person's language. */
function refusesNewer(folder: string): boolean {
  const state = join(folder, "state");
  mkdirSync(state);
  const database = openDatabase(join(state, "outbox.db"), 1 << 24);
  database.pragma("user_version = 99");
  database.pragma("application_id = 99");
  database.close();
  const site = join(folder, "site.yaml");
  writeFileSync(
    site,
    "version: 1\ngateway: { id: newer, name: Newer, city: trial, state: state }\nuplinks: []\ndevices: []\n",
  );
  const says = { "en_GB.UTF-8": "written by a newer kerb", "vi_VN.UTF-8": "bản kerb mới hơn" };
  return Object.entries(says).every(([language, words]) => {
    const environment = { ...process.env, LC_ALL: language };
    const { status, stdout } = spawnSync(kerb, ["run", site], {
      env: environment,
      encoding: "utf8",
      timeout: 30_000,
    });
    return status === 79 && stdout.includes(words) && stdout.includes("KERB-OUT-NEWER");
  });
}

async function migrationKilled(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "kerb-migration-"));
  try {
    writeFirstVersion(join(folder, "template.db"));
    const kills = scale === "short" ? 200 : 1000;
    const steps = await killMigration(folder, "steps", kills);
    say(JSON.stringify(steps));
    // With one step only there is nothing to migrate.
    const product = migrations.length > 1 ? await killMigration(folder, "product", kills) : undefined;
    const refused = refusesNewer(folder);
    const all = [steps, ...(product === undefined ? [] : [product])];
    const sum = (key: keyof typeof steps) => all.reduce((total, one) => total + one[key], 0);
    return {
      trials: kills * all.length,
      figure: `${sum("before")} old, ${sum("after")} new, ${sum("mixed")} mixed, ${sum("unfinished")} not finished by the next open; a newer file is ${refused ? "refused in both languages" : "NOT refused clearly"}`,
      passed: sum("mixed") + sum("unfinished") === 0 && refused && steps.before > 0 && steps.after > 0,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const trials: Trial[] = [
  {
    id: "R23",
    name: "migration of 20,000 rows killed",
    passLine: "0 mixed, the next open finishes it; a file of a newer kerb is refused with a clear sentence",
    needs: [],
    run: migrationKilled,
  },
];
