import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { Victim } from "./profile-fuzz/child.ts";
import { fuzzedProfile } from "./profile-fuzz/mutations.ts";

/**
 * No profile can crash or hang the gateway: whatever stands in its file, it loads or is told by file and line, within
 * two seconds of CPU time and a bounded memory; nothing that loads brings down a simulator or a driver.
 * KERB_FUZZ_SECONDS=600 goes on so long, KERB_SEED starts elsewhere; a file that fails is kept in the temporary folder.
 */

const seconds = Number(process.env["KERB_FUZZ_SECONDS"] ?? 10);
const seed = Number(process.env["KERB_SEED"] ?? 6);
const cpuMsMax = 2000;

const victim = new Victim();
afterAll(() => victim.close());

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
    expect(seen.files).toBeGreaterThan(5);
    expect(seen.simulated).toBeGreaterThan(0);
  },
);

function keep(bytes: Uint8Array): void {
  const folder = join(tmpdir(), "kerb-profile-fuzz-failures");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `seed-${seed}.yaml`), bytes);
}
