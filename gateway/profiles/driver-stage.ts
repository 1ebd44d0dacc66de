import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * How far a driver is proven, computed from what lies on this disk. `proof.json` is written by the contract suite
 * alone (`npm run prove`), and `npm test` fails when it is not what the suite has just found.
 */

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What the contract suite has found about a driver: `drivers/<name>/proof.json`. */
export interface Proof {
  /** Day on which the suite ran, ISO 8601. */
  proved: string;
  /** Checks of the suite: those that passed, and all that there are for this driver. */
  passed: number;
  planned: number;
  /** What the machine could not try, and why. */
  skipped: string[];
  /** `codeHash` of that day. */
  code: string;
}

/**
 * planned: no code yet · unproven: the suite has not passed over this very code · simulated: it has, all of it ·
 * field-proven: simulated, and there are frames captured from real hardware.
 */
type Stage = "planned" | "unproven" | "simulated" | "field-proven";

/** Why a driver is unproven. */
type Doubt = "no-proof" | "changed" | "incomplete";

/** The stage of one driver with what it was computed from. */
export interface DriverStage {
  stage: Stage;
  doubt?: Doubt;
  proof?: Proof;
  /** Files under `frames/` with a line "captured: <device, firmware, day, who>". */
  captured: number;
}

const proofFile = (name: string, folder = root): string => join(folder, "drivers", name, "proof.json");

const isCode = (file: string): boolean =>
  file.endsWith(".ts") && !/(\.test|^testing|^test-[a-z-]+)\.ts$/.test(file);
/** Lines that say nothing to the machine: a comment may be mended without a new proof. */
const isSilent = (line: string): boolean => /^\s*($|\/\/|\/\*|\*( |\/|$))/.test(line);

function filesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
}

/** Profiles with `driver: <name>`: what a driver was proved with, and for serial the very frames. */
function profilesOf(name: string, folder: string): string[] {
  const profiles = join(folder, "firmware-profiles");
  return filesOf(profiles)
    .filter((vendor) => statSync(join(profiles, vendor)).isDirectory())
    .flatMap((vendor) => filesOf(join(profiles, vendor)).map((file) => join(profiles, vendor, file)))
    .filter((path) => path.endsWith(".yaml"))
    .map((path) => readFileSync(path, "utf8"))
    .filter((text) => new RegExp(`^driver: *["']?${name}["']? *(#.*)?$`, "m").test(text));
}

/**
 * SHA-256 over the code of a driver and its simulator, what simulators share, and its profiles; tests, comments,
 * blank lines do not count.
 */
export function codeHash(name: string, folder = root): string {
  const hash = createHash("sha256");
  for (const zone of [`drivers/${name}`, `simulators/${name}`, "simulators"]) {
    for (const file of filesOf(join(folder, zone)).filter(isCode)) {
      const lines = readFileSync(join(folder, zone, file), "utf8").split("\n");
      hash.update(`${zone}/${file}\0${lines.filter((line) => !isSilent(line)).join("\n")}\0`);
    }
  }
  for (const text of profilesOf(name, folder))
    hash.update(
      `profile\0${text
        .split("\n")
        .filter((line) => !/^\s*(#|$)/.test(line))
        .join("\n")}\0`,
    );
  return hash.digest("hex");
}

/** The proof on file; undefined where there is none that can be read. */
export function readProof(name: string, folder = root): Proof | undefined {
  try {
    const { passed, planned, skipped, code, proved } = JSON.parse(
      readFileSync(proofFile(name, folder), "utf8"),
    ) as Proof;
    const isWhole = [passed, planned].every((count) => Number.isInteger(count)) && Array.isArray(skipped);
    return isWhole ? { proved, passed, planned, skipped, code } : undefined;
  } catch {
    return undefined;
  }
}

function capturedFrames(name: string, folder: string): number {
  const frames = join(folder, "drivers", name, "frames");
  return filesOf(frames).filter(
    (file) => file.endsWith(".txt") && /^captured: +\S/m.test(readFileSync(join(frames, file), "utf8")),
  ).length;
}

/** The stage of a driver by its name; `folder` holds `drivers/` and `simulators/`. */
export function driverStage(name: string, folder = root): DriverStage {
  const captured = capturedFrames(name, folder);
  if (!existsSync(join(folder, "drivers", name, "index.ts"))) return { stage: "planned", captured };
  const proof = readProof(name, folder);
  if (proof === undefined) return { stage: "unproven", doubt: "no-proof", captured };
  const doubt = doubtOf(proof, codeHash(name, folder));
  if (doubt !== undefined) return { stage: "unproven", doubt, proof, captured };
  return { stage: captured > 0 ? "field-proven" : "simulated", proof, captured };
}

function doubtOf({ code, passed, planned }: Proof, now: string): Doubt | undefined {
  if (code !== now) return "changed";
  return planned > 0 && passed === planned ? undefined : "incomplete";
}
