import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { profileFolder } from "../gateway/profiles/profiles.ts";
import { Victim } from "./profile-fuzz/child.ts";
import { fuzzedProfile } from "./profile-fuzz/mutations.ts";

/**
 * No profile can crash or hang the gateway: whatever stands in its file, it loads or is told by file and line, within
 * two seconds of CPU time and a bounded memory; nothing that loads brings down a simulator or a driver.
 * KERB_FUZZ_SECONDS=600 goes on so long, KERB_SEED starts elsewhere; a file that fails is kept in the temporary folder.
 */

const seconds = Number(process.env["KERB_FUZZ_SECONDS"] ?? 10);
const seed = Number(process.env["KERB_SEED"] ?? 6);
/** Two seconds of a core of one's own; those that others share count up to twice. */
const cpuMsMax = 4000;

const victim = new Victim();
afterAll(() => victim.close());

it("a profile that was not tampered with loads, simulates and is read", { timeout: 120_000 }, async () => {
  const outcome = await victim.take(readFileSync(join(profileFolder, "eastron/sdm630.yaml")));
  expect(outcome).toMatchObject({ isLoaded: true, isSimulated: true, stage: "pretend" });
  expect(outcome.failure).toBeUndefined();
});

it(
  "a profile file that was tampered with is told by its place, or loads, simulates and is read",
  { timeout: (seconds + 110) * 1000 },
  async () => {
    const seen = { files: 0, loaded: 0, simulated: 0, slowestMs: {} as Record<string, number> };
    await fc.assert(
      fc.asyncProperty(fuzzedProfile, async (bytes) => {
        const outcome = await victim.take(bytes);
        seen.files++;
        seen.loaded += Number(outcome.isLoaded);
        seen.simulated += Number(outcome.isSimulated);
        let { failure } = outcome;
        for (const [stage, ms] of Object.entries(outcome.cpuMs)) {
          seen.slowestMs[stage] = Math.max(seen.slowestMs[stage] ?? 0, ms);
          if (ms > cpuMsMax) failure ??= `${ms} ms of CPU time at ${stage}`;
        }
        if (failure !== undefined) keep(bytes);
        expect(failure, `at ${outcome.stage}`).toBeUndefined();
      }),
      { seed, numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false },
    );
    if (seconds > 10) console.log(JSON.stringify({ seed, ...seen }));
    expect(seen.files).toBeGreaterThan(0);
  },
);

/** Files that a person would not think of, each of which took minutes or all memory once, or well might. */
const head = readFileSync(join(profileFolder, "eastron/sdm630.yaml"), "utf8").split("points:\n")[0] ?? "";
const many = (count: number, more: (i: number) => string): string =>
  `${head}points:\n${Array.from({ length: count }, (_, i) => `  p${i}: { address: { table: holding, register: 1 }, ${more(i)} }\n`).join("")}`;

it.each([
  ["sources that are nowhere", many(2000, (i) => `source: none${i}, scale: ${i}`)],
  [
    "one label for as many firmware versions",
    many(2000, (i) => `label: { en: Same, vi: Giống }, when: "=1.${i}"`),
  ],
  ["as many points as a file may hold", many(4400, (i) => `scale: ${i}`)],
  ["more of them", many(14_000, () => "scale: 2")],
  ["scale factors of each other", many(4400, (i) => `scaleFactor: p${(i + 1) % 4400}`)],
  [
    "points made of points",
    many(3000, (i) => `derive: { sum: [p${i + 1}, p${i + 2}] }`).replaceAll(
      "address: { table: holding, register: 1 }, ",
      "",
    ),
  ],
  [
    "a circle",
    many(1000, (i) => `derive: { sum: [p${(i + 1) % 1000}, p${i}] }`).replaceAll(
      "address: { table: holding, register: 1 }, ",
      "",
    ),
  ],
  ["brackets", "[".repeat(500_000)],
  ["commas", `[${",".repeat(900_000)}]`],
  ["empty lines", "\n".repeat(1_040_000)],
  ["one long text", `${head}points: { p: { address: ${"x".repeat(900_000)} } }`],
])("%s: told, or loaded, in time", { timeout: 120_000 }, async (_, text) => {
  const { failure, cpuMs } = await victim.take(Buffer.from(text));
  expect(failure).toBeUndefined();
  for (const [stage, ms] of Object.entries(cpuMs)) expect(ms, stage).toBeLessThan(cpuMsMax);
});

function keep(bytes: Uint8Array): void {
  const folder = join(tmpdir(), "kerb-profile-fuzz-failures");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `seed-${seed}.yaml`), bytes);
}
