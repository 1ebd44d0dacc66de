import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { OutboxStore, type RowLane } from "../../gateway/outbox/store.ts";
import { EventWriter } from "../../gateway/event.ts";
import { counter, gateway, OutboxRig } from "./outbox-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

const run = promisify(execFile);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** What SQLite is told to keep of the log at most. */
const logLimit = 1_048_576;

/** R12: a backlog goes out slowly while a burst comes in, and another process tries to read the file. */
async function starvation(scale: Scale): Promise<Outcome> {
  const events = scale === "short" ? 20_000 : 200_000;
  const folder = mkdtempSync(join(tmpdir(), "kerb-slow-"));
  const rig = await OutboxRig.start({ folder, padding: 200, online: false, pubackMs: 150 });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, statSync(join(folder, "outbox.db-wal"), { throwIfNoEntry: false })?.size ?? 0);
  }, 5);
  try {
    await rig.feedAll(events / 4);
    await rig.connect();
    let foreign = "";
    try {
      const other = new Database(join(folder, "outbox.db"), { readonly: true, timeout: 0 });
      other.prepare("SELECT count(*) FROM event").get();
      other.close();
      foreign = "read it";
    } catch (error) {
      foreign = (error as { code?: string }).code ?? String(error);
    }
    await rig.feedAll((events / 4) * 3, 120_000);
    const drained = await rig.drained(120_000);
    const lost = rig.fed - rig.values().size;
    return {
      trials: 1,
      figure: `log at most ${(peak / 1e6).toFixed(2)} MB over ${rig.fed} events, ${lost} lost; another process got ${foreign}`,
      passed: drained && lost === 0 && peak <= 2 * logLimit && foreign === "SQLITE_BUSY",
    };
  } finally {
    clearInterval(watch);
    await rig.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** R13: the whole outbox in a process whose fsyncs take 100 ms. */
async function slowFsync(scale: Scale): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-fsync-"));
  try {
    const library = join(folder, "slow-fsync.so");
    execFileSync("gcc", ["-shared", "-fPIC", "-O2", "-o", library, here("slow-fsync.c"), "-ldl"]);
    const { stdout } = await run(
      process.execPath,
      [here("slow-disk-run.ts"), join(folder, "state"), scale === "short" ? "4" : "60"],
      { env: { ...process.env, LD_PRELOAD: library, SLOW_FSYNC_MS: "100" }, timeout: 120_000 },
    );
    const { fed, lost, drained, loopP99Ms, loopP50Ms } = JSON.parse(stdout) as {
      fed: number;
      lost: number;
      drained: boolean;
      loopP99Ms: number;
      loopP50Ms: number;
    };
    return {
      trials: 1,
      figure: `loop p50 ${loopP50Ms.toFixed(1)} ms, p99 ${loopP99Ms.toFixed(1)} ms; ${fed} events, ${lost} lost`,
      passed: drained && lost === 0 && loopP99Ms < 20,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file of about `mebibytes` that was not closed: made through the store, in transactions of 5,000 rows. */
function bigBacklog(path: string, mebibytes: number): number {
  const store = new OutboxStore({ path, bytesMax: 1024 * 1024 * 1024 });
  store.register([{ id: gateway, type: "gateway", profile: "", points: [] }]);
  const [device] = store.register([counter]);
  const writer = new EventWriter();
  writer.begin("telemetry", device?.index ?? 0, Date.now(), 0, "synced");
  writer.count(2);
  writer.reading(device?.points[0]?.index ?? 0, 1, 0);
  writer.reading(device?.points[1]?.index ?? 0, "x".repeat(170), 0);
  const body = Buffer.from(writer.bytes());
  let rows = 0;
  while (store.size().bytes < mebibytes * 1024 * 1024) {
    store.commit(Array.from({ length: 5000 }, () => ({ lane: 1 as RowLane, body })));
    rows += 5000;
  }
  store.close();
  return rows;
}

/** R28: start on a big backlog after a power cut. */
async function bigStart(scale: Scale): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-big-"));
  try {
    const path = join(folder, "outbox.db");
    const rows = bigBacklog(path, scale === "short" ? 60 : 250);
    // One row more, and the process ends without closing the file: the log is left, the next start checks all.
    spawnSync(process.execPath, ["--input-type=module", "-e", cutOff(path)]);
    const left = statSync(`${path}-wal`).size;
    const rig = await OutboxRig.start({ folder, bytesMax: 1024 * 1024 * 1024 });
    rig.feed(1);
    await rig.until(() => rig.firstAcceptedMs !== undefined, 10_000);
    await sleep(1500);
    const stats = performance.now();
    const { failure } = await rig.stats();
    const statsMs = performance.now() - stats;
    const taken = rig.firstAcceptedMs ?? Infinity;
    const sent = rig.firstReceivedMs ?? Infinity;
    const checked = rig.problems.length === 0 && failure === undefined;
    await rig.stop();
    return {
      trials: 1,
      figure:
        `${(statSync(path).size / 1e6).toFixed(0)} MB, ${rows} rows, log of ${left} bytes left: first event ` +
        `accepted after ${taken.toFixed(0)} ms, first batch at the IOC after ${sent.toFixed(0)} ms, status in ${statsMs.toFixed(0)} ms`,
      passed: left > 0 && taken < 3000 && sent < 3000 && checked,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function cutOff(path: string): string {
  const store = new URL("../../gateway/outbox/store.ts", import.meta.url).href;
  return `import { OutboxStore } from ${JSON.stringify(store)};
const store = new OutboxStore({ path: ${JSON.stringify(path)}, bytesMax: 1 << 30 });
store.commit(store.rows(1, 1, 10).map(({ lane, body }) => ({ lane, body })));
process.kill(process.pid, "SIGKILL");
await new Promise(() => setTimeout(() => {}, 10_000));`;
}

export const trials: Trial[] = [
  {
    id: "R12",
    name: "checkpoint starvation",
    passLine: "log <= 2 x its limit while a slow reader and a burst meet; no second reader gets in",
    needs: [],
    run: starvation,
  },
  {
    id: "R13",
    name: "slow fsync (100 ms)",
    passLine: "main loop p99 < 20 ms at 200 events/s, 0 lost",
    needs: ["gcc"],
    run: slowFsync,
  },
  {
    id: "R28",
    name: "start with a big backlog after a power cut",
    passLine: "first event accepted and first batch delivered within 3 s; the check runs beside",
    needs: [],
    run: bigStart,
  },
];
