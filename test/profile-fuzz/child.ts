import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Asked, Outcome } from "./victim.ts";

/** The process that takes the files: it is killed when one takes too long, and started again for the next. */

/** A machine that does other things as well takes its time; what hangs takes for ever. */
const hangMs = 60_000;
const heapMegabytes = 320;

export class Victim {
  readonly #folder = mkdtempSync(join(tmpdir(), "kerb-profile-fuzz-"));
  #child: ChildProcess | undefined;
  #last: Promise<unknown> = Promise.resolve();

  async #open(): Promise<ChildProcess> {
    mkdirSync(join(this.#folder, "profiles/acme"), { recursive: true });
    const child = fork(fileURLToPath(new URL("victim.ts", import.meta.url)), [this.#folder], {
      execArgv: [`--max-old-space-size=${heapMegabytes}`, "--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child = child;
    await once(child, "message");
    return child;
  }

  /** What became of one file; a process that died or hung is a failure at an unknown stage. */
  take(bytes: Uint8Array): Promise<Outcome> {
    // One that is not awaited any more must not be answered in the name of the next.
    const outcome = this.#last.then(() => this.#take(bytes));
    this.#last = outcome;
    return outcome;
  }

  async #take(bytes: Uint8Array): Promise<Outcome> {
    const child = this.#child ?? (await this.#open());
    const asked: Asked = { profile: Buffer.from(bytes).toString("base64") };
    const none = { stage: "?", isLoaded: false, isSimulated: false, findings: 0, cpuMs: {} };
    return new Promise((resolve) => {
      const end = (outcome: Outcome): void => {
        clearTimeout(timer);
        child.off("exit", died).off("message", answered);
        resolve(outcome);
      };
      const answered = (outcome: unknown): void => end(outcome as Outcome);
      const died = (code: number | null, signal: string | null): void => {
        this.#child = undefined;
        end({
          ...none,
          failure: `the process ended (${signal ?? code}): more than ${heapMegabytes} MB, or worse`,
        });
      };
      const timer = setTimeout(() => {
        this.#child = undefined;
        child.kill("SIGKILL");
        end({ ...none, failure: `hangs: nothing within ${hangMs} ms` });
      }, hangMs);
      child.once("exit", died).once("message", answered);
      child.send(asked);
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
