import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { codeHash, readProof, type Proof } from "../../gateway/profiles/driver-stage.ts";

/** What the suite has found about a driver in this run, held against `drivers/<name>/proof.json`. */

/** Counts of one run; `tried` are the checks that were run, of all that are `planned`. */
export interface Score {
  planned: number;
  tried: number;
  passed: number;
  skipped: string[];
}

export const isProving = process.env["KERB_PROVE"] === "1";

const cure = 'run "npm run prove" and commit the proof.json that it writes';

function foundNow(name: string, { passed, planned, skipped }: Score): Proof {
  const proved = new Date().toISOString().slice(0, 10);
  return { proved, passed, planned, skipped, code: codeHash(name) };
}

/** Writes the proof, where it says something new. */
export function writeProof(name: string, score: Score): void {
  const now = foundNow(name, score);
  const before = readProof(name);
  if (before !== undefined && JSON.stringify({ ...before, proved: now.proved }) === JSON.stringify(now))
    return;
  const file = fileURLToPath(new URL(`../../drivers/${name}/proof.json`, import.meta.url));
  writeFileSync(file, `${JSON.stringify(now, undefined, 2)}\n`);
}

const shown = ({ passed, planned }: Proof): string => `${passed} of ${planned}`;

/** What is wrong with the proof on file, with its cure; undefined: it says what this run has found. */
export function proofComplaint(name: string, score: Score, before = readProof(name)): string | undefined {
  const now = foundNow(name, score);
  const file = `drivers/${name}/proof.json`;
  if (before === undefined) return `${file} is missing or broken: ${cure}`;
  if (before.code !== now.code)
    return `${file} is of other code (drivers/${name} or simulators/${name} has changed since ${before.proved}): ${cure}`;
  // A machine that cannot try all of it says nothing about how many pass.
  const isPartial = now.skipped.length > 0;
  if (before.planned === now.planned && (isPartial || before.passed === now.passed)) return undefined;
  return `${file} says ${shown(before)} checks, the suite found ${shown(now)}: ${cure}`;
}
