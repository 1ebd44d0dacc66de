import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { misused, optionsOf } from "../script.ts";
import { simulate, type SeedResult } from "./simulate.ts";

/**
 * `npm run simulate:soak -- --seeds 10000`: many seeds over all cores; prints each that breaks an invariant, and how
 * to run it again. `--seed 7 --trace` runs one and prints each step; `--hours` is virtual time, and part of a seed's
 * identity. Exit status 1 when a seed failed.
 */

const purpose =
  "Runs the outbox and its uplinks through random faults in virtual time, a seed for each run, and prints the seeds that break an invariant.";
const usage =
  "npm run simulate:soak -- [--seeds 200] [--from 1] [--hours 1] [--jobs CORES] | --seed N [--hours 1] [--trace]";
const values = optionsOf(purpose, usage, {
  seeds: { type: "string", default: "200" },
  from: { type: "string", default: "1" },
  seed: { type: "string" },
  hours: { type: "string", default: "1" },
  jobs: { type: "string", default: `${availableParallelism()}` },
  trace: { type: "boolean", default: false },
});

function wholeNumber(name: "seeds" | "from" | "seed" | "jobs"): number {
  const text = values[name] ?? "";
  return /^[1-9]\d{0,8}$/.test(text)
    ? Number(text)
    : misused(`--${name} is a whole number from 1 on, not "${text}"`, usage);
}

const hours = Number(values.hours);
if (!(hours > 0 && hours <= 240))
  misused(`--hours is a number above 0, up to 240, not "${values.hours}"`, usage);
const contextLines = 40;

function report({ seed, faults, violation }: SeedResult): void {
  if (violation === undefined) return;
  const at = (violation.atMs / 1000).toFixed(3);
  console.log(`\nseed ${seed} breaks an invariant after ${at} s: ${violation.text}`);
  console.log(`faults: ${faults.join(" ")}`);
  if (!values.trace) console.log(violation.context.slice(-contextLines).join("\n"));
  console.log(`again: npm run simulate:soak -- --seed ${seed} --hours ${hours} --trace`);
}

/** A job takes every `step`th seed and tells its parent of each. */
async function job(first: number, end: number, step: number): Promise<void> {
  process.on("disconnect", () => process.exit(1));
  for (let seed = first; seed < end; seed += step) {
    const result = await simulate(seed, { hours });
    await new Promise<void>((resolve) => process.send?.(result, () => resolve()));
  }
}

async function soak(first: number, count: number): Promise<number> {
  const jobs = Math.min(count, wholeNumber("jobs"));
  const begun = performance.now();
  let done = 0;
  let failed = 0;
  let events = 0;
  const take = (result: SeedResult): void => {
    report(result);
    done++;
    events += result.accepted;
    if (result.violation !== undefined) failed++;
    if (done % 100 === 0) process.stderr.write(`${done} of ${count} seeds, ${failed} failed\n`);
  };
  await Promise.all(
    Array.from({ length: jobs }, (_, i) => {
      const args = [`${first + i}`, `${first + count}`, `${jobs}`];
      const child = fork(import.meta.filename, ["--hours", `${hours}`], {
        env: { ...process.env, KERB_SIMULATION_JOB: args.join(" ") },
      });
      child.on("message", (result: SeedResult) => take(result));
      return new Promise((resolve) => child.once("exit", resolve));
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  console.log(
    `${done} seeds of ${hours} h, ${failed} failed, ${events} events, ${(done / seconds).toFixed(1)} seeds/s on ${jobs} cores`,
  );
  // A job that died has not told of all its seeds.
  return failed + count - done;
}

const task = process.env["KERB_SIMULATION_JOB"];
if (task !== undefined) {
  const [first = 0, end = 0, step = 1] = task.split(" ").map(Number);
  await job(first, end, step);
  process.exit(0);
} else if (values.seed !== undefined) {
  const result = await simulate(wholeNumber("seed"), { hours, trace: values.trace });
  report(result);
  const { hash, accepted, dropped, lost, steps } = result;
  console.log(
    `trace ${hash.toString(16)}: ${accepted} events, ${dropped} dropped, ${lost} lost with a file, ${steps} steps`,
  );
  process.exitCode = result.violation === undefined ? 0 : 1;
} else process.exitCode = (await soak(wholeNumber("from"), wholeNumber("seeds"))) > 0 ? 1 : 0;
