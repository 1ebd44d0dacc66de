import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { shrinkHeap } from "../memory.ts";
import type { OutboxOptions, ToWorker } from "./outbox.ts";
import { PatientOutbox } from "./patient.ts";

/**
 * The storage thread: everything that may wait for the disk or costs more than a moment of CPU happens here, so
 * that the supervisor's thread never blocks.
 */

const port = parentPort;
if (port === null) throw new Error("worker.ts runs as the outbox's worker thread");
const core = new PatientOutbox(workerData as OutboxOptions, (message, transfer) => {
  port.postMessage(message, transfer);
});
port.on("message", (message: ToWorker) => {
  core.receive(message);
  // The names of all points have been read, and most of that is over.
  if (message.type === "request" && message.name === "register") setTimeout(shrinkHeap, 100);
});
// A worker that is terminated does not write its part of the cache by itself.
flushCompileCache();
