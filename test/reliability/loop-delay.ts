import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/**
 * Preloaded (`--import`) into a process under trial: writes the p99 of how late its main loop is, ms, into
 * `$KERB_LOOP_DELAY.<pid>` once a second.
 */

const file = process.env["KERB_LOOP_DELAY"];
if (file !== undefined && isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  // Starting is not running.
  setTimeout(() => delay.enable(), 3000).unref();
  setInterval(() => {
    writeFileSync(`${file}.${process.pid}`, String(delay.percentile(99) / 1e6 - 5));
  }, 1000).unref();
}
