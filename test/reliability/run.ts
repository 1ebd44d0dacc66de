import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { missing, type Outcome, type Scale, type Trial } from "./trial.ts";

/**
 * `npm run reliability`: runs the catalogue and prints one table. A trial that this machine cannot run is skipped
 * with its reason; with CI=true that counts as failed. Exit status 1 when a trial failed.
 */

const { values } = parseArgs({
  options: { short: { type: "boolean" }, only: { type: "string" }, list: { type: "boolean" } },
});
const scale: Scale = values.short === true ? "short" : "full";
const wanted = values.only?.split(",").map((id) => id.trim().toUpperCase());

async function catalogue(): Promise<Trial[]> {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".trial.ts"));
  const modules = await Promise.all(
    files.map((file) => import(new URL(file, import.meta.url).href) as Promise<{ trials: Trial[] }>),
  );
  const trials = modules.flatMap((module) => module.trials);
  return trials.sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
}

async function attempt(trial: Trial): Promise<Outcome> {
  try {
    return await trial.run(scale, (progress) => process.stderr.write(`   ${trial.id}: ${progress}\n`));
  } catch (error) {
    return { trials: 0, figure: `broke off: ${(error as Error).stack ?? String(error)}`, passed: false };
  }
}

function row(cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "/").replaceAll("\n", " ")).join(" | ")} |`;
}

const all = await catalogue();
const chosen = all.filter(
  ({ id }) =>
    wanted === undefined ||
    wanted.some((one) => id.toUpperCase() === one || id.replace(/[a-z]$/, "") === one),
);
const unknown = wanted?.filter((one) => !chosen.some(({ id }) => id.toUpperCase().startsWith(one))) ?? [];
if (unknown.length > 0) {
  console.error(
    `There is no trial ${unknown.join(", ")}. The catalogue has: ${all.map(({ id }) => id).join(" ")}`,
  );
  process.exit(2);
}
if (values.list === true) {
  for (const { id, name, passLine } of chosen) console.log(`${id}  ${name}: ${passLine}`);
  process.exit(0);
}

const rows: string[][] = [];
let failed = 0;
let skipped = 0;
for (const trial of chosen) {
  const lack = trial.needs.map(missing).find((reason) => reason !== undefined);
  if (lack !== undefined) {
    skipped++;
    rows.push([trial.id, trial.name, "0", `skipped: ${lack}`, trial.passLine, "skipped", "0"]);
    continue;
  }
  const begun = performance.now();
  console.error(`== ${trial.id} ${trial.name}`);
  const { trials, figure, passed } = await attempt(trial);
  if (!passed) failed++;
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  rows.push([
    trial.id,
    trial.name,
    String(trials),
    figure,
    trial.passLine,
    passed ? "pass" : "FAIL",
    seconds,
  ]);
  console.error(`== ${trial.id} ${passed ? "pass" : "FAIL"} (${seconds} s): ${figure}`);
}

console.log(row(["test", "what", "trials", "figure", "pass line", "verdict", "s"]));
console.log(row(Array.from({ length: 7 }, () => "---")));
for (const cells of rows) console.log(row(cells));
const mustRun = process.env["CI"] === "true" ? skipped : 0;
console.log(`\n${rows.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped (${scale})`);
process.exit(failed + mustRun > 0 ? 1 : 0);
