import { parseArgs } from "node:util";
import { simulate, type SeedResult } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    hours: { type: "string", default: "1" },
    trace: { type: "boolean", default: false },
  },
});
const hours = Number(values.hours);
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;

function report({ seed, faults, violation }: SeedResult): void {
  if (violation === undefined) return;
  console.log(`\nseed ${seed} (${hours} h) breaks an invariant at ${(violation.atMs / 1000).toFixed(3)} s: ${violation.text}`);
  console.log(`faults: ${faults.join(" ")}`);
  if (!values.trace) console.log(violation.context.slice(-40).join("\n"));
}

const begun = performance.now();
let failed = 0;
let accepted = 0;
for (let seed = first; seed < first + count; seed++) {
  const result = await simulate(seed, { hours, trace: values.trace });
  report(result);
  if (result.violation !== undefined) failed++;
  accepted += result.accepted;
  if (count === 1) console.log(JSON.stringify({ ...result, violation: result.violation?.text }));
}
const seconds = (performance.now() - begun) / 1000;
console.log(`${count} seeds, ${failed} failed, ${accepted} events, ${(count / seconds).toFixed(1)} seeds/s`);
process.exit(failed > 0 ? 1 : 0);
