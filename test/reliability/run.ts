import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { misused, optionsOf } from "../script.ts";
import { missing, type Outcome, type Scale, type Trial } from "./trial.ts";

/**
 * `npm run reliability`: runs the catalogue and prints one table. A trial that this machine cannot run is skipped
 * with its reason; with CI=true that counts as failed. Exit status 1 when a trial failed.
 */

const usage = "npm run reliability -- [--short] [--only R5,R14] [--list] [--markdown FILE]";
const purpose =
  "Kills, fills, cuts off and damages real gateways by a catalogue of trials, and prints one table of what they lost.";
const values = optionsOf(purpose, usage, {
  short: { type: "boolean" },
  only: { type: "string" },
  list: { type: "boolean" },
  /** Writes the table into a file too. */
  markdown: { type: "string" },
  /** For this file's own use: runs one trial here and sends its outcome to the process that asks. */
  alone: { type: "string" },
});
// Where Debian keeps programs that are for root.
process.env["PATH"] += ":/usr/sbin:/sbin";
// The same as `gateway/kerb`: victims start by the hundred, in half the time with a cache.
process.env["NODE_COMPILE_CACHE"] ||= fileURLToPath(
  new URL("../../node_modules/.cache/kerb", import.meta.url),
);
const scale: Scale = values.short === true ? "short" : "full";
const limitMs = scale === "short" ? 240_000 : 3 * 3_600_000;
const wanted = values.only?.split(",").map((id) => id.trim().toUpperCase());

interface Row {
  trial: Trial;
  verdict: "pass" | "FAIL" | "skipped";
  outcome: Pick<Outcome, "trials" | "figure">;
  seconds: number;
}

async function catalogue(): Promise<Trial[]> {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".trial.ts"));
  const modules = await Promise.all(
    files.map((file) => import(new URL(file, import.meta.url).href) as Promise<{ trials: Trial[] }>),
  );
  const trials = modules.flatMap((module) => module.trials);
  return trials.sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
}

/** In the trial's own process. */
async function runAlone(trial: Trial): Promise<never> {
  const brokeOff = new Promise<Error>((resolve) => process.once("uncaughtException", resolve));
  const run = trial.run(scale, (progress) => process.stderr.write(`   ${trial.id}: ${progress}\n`));
  const outcome = await Promise.race([run, brokeOff.then((error) => Promise.reject(error))]).catch(
    (error: Error): Outcome => ({
      trials: 0,
      figure: `broke off: ${error.stack ?? String(error)}`,
      passed: false,
    }),
  );
  await new Promise((resolve) => process.send?.(outcome, resolve));
  process.exit();
}

const running = new Set<ChildProcess>();

function endGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended, and all that it started.
  }
}

process.on("exit", () => running.forEach(endGroup));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

/** Runs a trial in a process (and process group) of its own, within its time. */
async function attempt(trial: Trial): Promise<Row> {
  const begun = performance.now();
  console.error(`== ${trial.id} ${trial.name}`);
  const self = [
    fileURLToPath(import.meta.url),
    "--alone",
    trial.id,
    ...(scale === "short" ? ["--short"] : []),
  ];
  const command = [process.execPath, ...process.execArgv, ...self];
  if (trial.needs.includes("mount-namespace")) command.unshift("unshare", "-m");
  const child = spawn(command[0] ?? "", command.slice(1), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    detached: true,
  });
  running.add(child);
  const timer = setTimeout(() => endGroup(child), limitMs);
  let outcome: Outcome | undefined;
  child.on("message", (message: Outcome) => (outcome = message));
  const ended = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(String(signal ?? code)));
  });
  clearTimeout(timer);
  endGroup(child);
  running.delete(child);
  const { passed, ...found } = outcome ?? {
    trials: 0,
    figure: `ended without a word: ${ended}`,
    passed: false,
  };
  const seconds = (performance.now() - begun) / 1000;
  const verdict = passed ? "pass" : "FAIL";
  console.error(`== ${trial.id} ${verdict} (${seconds.toFixed(1)} s): ${found.figure}`);
  return { trial, verdict, outcome: found, seconds };
}

/** Three at a time, for most of them wait; then, one by one, those that hold times against their pass line. */
async function runAll(trials: readonly Trial[]): Promise<Row[]> {
  const rows: Row[] = [];
  const work = async (queue: Trial[]): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) rows.push(await attempt(next));
  };
  const shared = trials.filter(({ exclusive }) => exclusive !== true);
  const lanes = Math.min(3, cpus().length + 1);
  await Promise.all(Array.from({ length: lanes }, () => work(shared)));
  await work(trials.filter(({ exclusive }) => exclusive === true));
  return rows;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "/").replaceAll("\n", " ")).join(" | ")} |`;
}

function table(rows: readonly Row[]): string {
  const titles = ["test", "what", "trials", "figure", "pass line", "verdict", "s"];
  const cells = rows.map(({ trial, outcome, verdict, seconds }) => [
    trial.id,
    trial.name,
    String(outcome.trials),
    outcome.figure,
    trial.passLine,
    verdict,
    seconds.toFixed(1),
  ]);
  return [titles, titles.map(() => "---"), ...cells].map((row) => `${line(row)}\n`).join("");
}

const all = await catalogue();
if (values.alone !== undefined) {
  const trial = all.find(({ id }) => id === values.alone);
  if (trial !== undefined) await runAlone(trial);
}
const chosen = all.filter(
  ({ id }) =>
    wanted === undefined ||
    wanted.some((one) => id.toUpperCase() === one || id.replace(/[a-z]$/, "").toUpperCase() === one),
);
const unknown = wanted?.filter((one) => !chosen.some(({ id }) => id.toUpperCase().startsWith(one))) ?? [];
if (unknown.length > 0)
  misused(
    `There is no trial ${unknown.join(", ")}. The catalogue has: ${all.map(({ id }) => id).join(" ")}`,
    usage,
  );
if (values.list === true) {
  for (const { id, name, passLine } of chosen) console.log(`${id}  ${name}: ${passLine}`);
  process.exit(0);
}

const lacks = chosen.map(({ needs }) => needs.map(missing).find((reason) => reason !== undefined));
const skippedRows = chosen.flatMap((trial, i): Row[] => {
  if (lacks[i] === undefined) return [];
  return [{ trial, verdict: "skipped", outcome: { trials: 0, figure: `skipped: ${lacks[i]}` }, seconds: 0 }];
});
const rows = [...skippedRows, ...(await runAll(chosen.filter((_, i) => lacks[i] === undefined)))];
rows.sort((a, b) => chosen.indexOf(a.trial) - chosen.indexOf(b.trial));

const report = table(rows);
process.stdout.write(report);
if (values.markdown !== undefined) writeFileSync(values.markdown, report);
const skipped = skippedRows.length;
const failed = rows.filter(({ verdict }) => verdict === "FAIL").length;
console.log(`\n${rows.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped (${scale})`);
const mustRun = process.env["CI"] === "true" ? skipped : 0;
process.exit(failed + mustRun > 0 ? 1 : 0);
