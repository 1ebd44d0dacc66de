import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openDatabase } from "../../gateway/outbox/schema.ts";
import { freeze, LoopDisk } from "./loop-disk.ts";
import {
  checkControl,
  checkOutbox,
  firstAcknowledgement,
  readAcknowledged,
  startWriter,
} from "./outbox-check.ts";
import { Tally } from "./outbox-check.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** How many cuts one file has to live through before the next one is begun. */
const cutsPerFile = 5;

/** Cuts the power of a real ext4 under the writer, `trials` times. */
async function cutPower(mode: "product" | "normal", trials: number): Promise<Tally> {
  const disk = new LoopDisk();
  // Outside of the disk: what was said stays said.
  const outside = mkdtempSync(join(tmpdir(), "kerb-power-"));
  const tally = new Tally();
  try {
    for (let i = 0; i < trials; i++) {
      // The control's file is always new: what it has lost would be counted again.
      const file = mode === "normal" ? i : Math.floor(i / cutsPerFile);
      const folder = join(disk.folder, `state-${file}`);
      const acknowledgedPath = join(outside, `acknowledged-${file}`);
      mkdirSync(folder, { recursive: true });
      const path = join(folder, "outbox.db");
      const before = readAcknowledged(acknowledgedPath).newest;
      const writer = startWriter(path, acknowledgedPath, { mode });
      const ended = once(writer, "close");
      try {
        // One in five may be cut off while it opens the file.
        if (i % cutsPerFile !== 2) await firstAcknowledgement(writer, acknowledgedPath, before);
        await sleep(5 + Math.random() * 200);
        await freeze(writer.pid ?? 0);
        disk.cutPower();
      } finally {
        writer.kill("SIGKILL");
        await ended;
      }
      disk.remount();
      mkdirSync(folder, { recursive: true });
      const said = readAcknowledged(acknowledgedPath);
      const finding = mode === "product" ? checkOutbox(path, said) : checkControl(path, said);
      tally.add({ ...finding, acknowledged: said.newest - before });
      if ((i + 1) % cutsPerFile === 0 || mode === "normal") rmSync(folder, { recursive: true });
    }
  } finally {
    disk.close();
    rmSync(outside, { recursive: true, force: true });
  }
  return tally;
}

async function kernelPowerCut(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const full = await cutPower("product", scale === "short" ? 60 : 400);
  say(String(full));
  const normal = await cutPower("normal", scale === "short" ? 12 : 60);
  return {
    trials: full.trials,
    figure: `${String(full)}; control with NORMAL: ${normal.losing} of ${normal.trials} cuts lost rows, ${normal.lost} of ${normal.acknowledged}`,
    passed: full.clean && normal.losing > 0,
  };
}

/** The pragma at every open, and the flushes of the real outbox worker, counted by the kernel. */
function synchronousGuard(scale: Scale): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-guard-"));
  try {
    const path = join(folder, "outbox.db");
    const pragmas = Array.from({ length: 3 }, () => {
      const database = openDatabase(path, 1 << 24);
      database.prepare("SELECT count(*) FROM event").get();
      const value = database.pragma("synchronous", { simple: true });
      database.close();
      return value;
    });
    const commits = scale === "short" ? 200 : 2000;
    const report = join(folder, "strace");
    const worker = fileURLToPath(new URL("committing-worker.ts", import.meta.url));
    const strace = ["-f", "-c", "-e", "trace=fdatasync,fsync", "-o", report];
    const argument = [...strace, process.execPath, worker, path, String(commits)];
    const accepted = Number(execFileSync("strace", argument, { encoding: "utf8" }));
    // "% time  seconds  usecs/call  calls  [errors]  syscall", one line each.
    const lines = readFileSync(report, "utf8").matchAll(
      /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+.*\bf(?:data)?sync$/gm,
    );
    const flushes = [...lines].reduce((sum, [, calls]) => sum + Number(calls), 0);
    const isFull = pragmas.every((value) => value === 2);
    return Promise.resolve({
      trials: commits,
      figure: `synchronous = ${pragmas.join(", ")} at three opens; ${flushes} flushes for ${accepted} commits`,
      passed: isFull && accepted === commits && flushes >= commits,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const trials: Trial[] = [
  {
    id: "R2",
    name: "power cut, kernel (ext4 shut down without its journal)",
    passLine: "0 lost, 0 corrupt; the control with synchronous=NORMAL must lose rows",
    needs: ["root", "loop", "mount-namespace", "python"],
    run: kernelPowerCut,
  },
  {
    id: "R5",
    name: "synchronous guard on the real outbox worker",
    passLine: "the pragma reads 2 at every open, at least one flush for each commit",
    needs: ["strace"],
    run: synchronousGuard,
  },
];
