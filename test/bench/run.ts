import { resolve } from "node:path";
import { misused, optionsOf } from "../script.ts";
import { commandLine, type CommandLineFigures, commandLineTargets } from "./command-line.ts";
import { commands } from "./commands.ts";
import { memoryLines, memoryPerDriver, type DriverMemory } from "./memory-per-driver.ts";
import { details, machine, table, targetLines, targets } from "./report.ts";
import { flatOut, floor, mixed, outage, poll, type Effort, type Result } from "./workloads.ts";

const purpose =
  "Measures gateways that poll a farm of pretend devices and send to a real broker, and holds the figures against their targets.";
const usage =
  "npm run bench -- [--quick] [--strict] [--only poll-200,floor-200] [--kerb FOLDER] [--profile FOLDER] [--keep]";

/**
 * Prints a table and one JSON line. Ends with 1 when something was lost or could not run; with --strict also
 * when a target was missed.
 */
const flags = optionsOf(purpose, usage, {
  quick: { type: "boolean", default: false },
  strict: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  only: { type: "string" },
  /** Another checkout, to compare with. */
  kerb: { type: "string" },
  profile: { type: "string" },
});

/** The outbox's default `commitAfter`: an event waits for the disk this long at the most. */
const flushMs = 1000;

const effort: Effort = {
  warmUpMs: flags.quick ? 2500 : 8000,
  countMs: flags.quick ? 6000 : 20_000,
  outageMs: flags.quick ? 10_000 : 60_000,
  keep: flags.keep,
  ...(flags.kerb === undefined ? {} : { root: resolve(flags.kerb) }),
  ...(flags.profile === undefined ? {} : { profileFolder: resolve(flags.profile) }),
};

type Run = (name: string, done: readonly Result[]) => Promise<Result>;

function floorLike(workload: string): Run {
  return (name, done) => {
    const like = done.find((result) => result.name === workload);
    if (like === undefined) throw new Error(`${name} needs ${workload} in the same run`);
    return floor(name, like, effort);
  };
}

const workloads: Record<string, Run> = {
  "poll-10": (name) => poll(name, 10, 4, effort),
  "poll-50": (name) => poll(name, 50, 4, effort),
  "poll-200": (name) => poll(name, 200, 4, effort),
  "floor-200": floorLike("poll-200"),
  "poll-200-serial": (name) => poll(name, 200, 1, effort),
  // 500,000 readings a second are offered: more than is promised, and less than an uplink can carry.
  "steady-500k": (name) => flatOut(name, 10, effort),
  "flat-out": (name) => flatOut(name, 1, effort),
  "floor-flat": floorLike("flat-out"),
  mixed: (name) => mixed(name, effort),
  outage: (name) => outage(name, "refuse", effort),
  "outage-black-hole": (name) => outage(name, "black-hole", effort),
  "commands-200": (name) => commands(name, 200, effort),
  // To compare with, only when asked for: what of it is the telemetry's.
  "commands-1": (name) => commands(name, 1, effort),
};
/** Not a workload with readings: what each driver takes that has one device. */
const memoryName = "rss-per-driver";
/** What a person at a terminal waits for. */
const lineName = "command-line";
const compared = "commands-1";
const quick = ["poll-50", "poll-200", "floor-200", "flat-out", "mixed", "commands-200", lineName];

function chosen(): string[] {
  const all = [...Object.keys(workloads), memoryName, lineName];
  if (flags.only === undefined) return flags.quick ? quick : all.filter((name) => name !== compared);
  const names = flags.only.split(",");
  const unknown = names.find((name) => ![memoryName, lineName].includes(name) && !(name in workloads));
  if (unknown !== undefined)
    misused(`There is no workload "${unknown}". There are: ${all.join(", ")}`, usage);
  return names;
}

async function main(): Promise<number> {
  const about = machine();
  const results: Result[] = [];
  const memories: DriverMemory[] = [];
  let line: CommandLineFigures | undefined;
  const broken: string[] = [];
  // The first start of a checkout compiles it, which costs 25 MB that no later one takes: all others come behind it.
  if (flags.only !== undefined) await poll("warm-up", 1, 4, { ...effort, warmUpMs: 1000, countMs: 1000 });
  for (const name of chosen()) {
    process.stderr.write(`${name} …\n`);
    try {
      if (name === memoryName) memories.push(...(await memoryPerDriver(effort.warmUpMs)));
      else if (name === lineName) line = await commandLine();
      else results.push(await (workloads[name] as Run)(name, results));
    } catch (error) {
      broken.push(name);
      process.stderr.write(`${name} failed: ${(error as Error).message}\n`);
    }
  }
  const lineTargets = line === undefined ? [] : commandLineTargets(line);
  const list = [...targets(results, flushMs), ...lineTargets];
  process.stdout.write(
    [
      `${about.cores} cores (${about.model}), Linux ${about.kernel}, Node ${about.node}, load ${about.load} at the start; broker: ${about.broker}`,
      "100 readings a poll in 4 requests (requestsInFlight 4; 1 in poll-200-serial and mixed); columnar, outbox synchronous=FULL, commitAfter 1 s, receiver acknowledges every second",
      "",
      ...(results.length === 0 ? [] : [table(results), "", details(results), ""]),
      ...(list.length === 0 ? [] : [targetLines(list)]),
      ...memoryLines(memories),
      ...broken.map((name) => `✗ ${name}: did not run`),
      "",
      JSON.stringify({
        "kerb-bench": 1,
        quick: flags.quick,
        machine: about,
        results,
        memories,
        line,
        targets: list,
        broken,
      }),
      "",
    ].join("\n"),
  );
  const bad = list.filter(({ holds, kind }) => !holds && (flags.strict || kind === "data"));
  return bad.length > 0 || broken.length > 0 ? 1 : 0;
}

process.exitCode = await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  return 1;
});
process.exit();
