import { Worker } from "node:worker_threads";
import type { Signature } from "../box-key.ts";

/**
 * Reports that others ask the running gateway to sign, which alone may read the box's key. What is signed is looked
 * at first, in a thread of its own: a report of hundreds of devices takes longer than the main thread may.
 */

/** Whose reports are signed. */
export interface OwnReport {
  stateFolder: string;
  gateway: string;
  city: string;
  devices: string[];
}

export interface AskedSignature extends OwnReport {
  /** JSON of a whole report. */
  report: string;
  /** The page in this language; absent: the report itself. */
  page?: "en" | "vi";
}

/** A larger report is signed only by whoever may read the key. */
export const reportBytesMax = 6 * 1024 * 1024;
const checkMs = 30_000;
/** Reports that are kept while one after another is looked at: who has asked for one may be long gone. */
const waitingMax = 4;

/** What the thread answers. */
export type SignedOrNot = { signature: Signature } | { refused: string };

let turn: Promise<unknown> = Promise.resolve();
let waiting = 0;

/** Signs a report that is this gateway's own, one after another. Rejects with a sentence that begins with KERB-REP-REFUSED. */
export function signAsked(own: OwnReport, args: Record<string, unknown>): Promise<Signature> {
  const { report, page } = args;
  const isPage = page === "en" || page === "vi";
  if (typeof report !== "string" || !(isPage || page === undefined))
    return Promise.reject(refusal("it is no report: a digest alone is not signed"));
  if (report.length > reportBytesMax) return Promise.reject(refusal("it is too large"));
  if (waiting >= waitingMax) return Promise.reject(refusal("others are being signed: try again"));
  const asked: AskedSignature = { ...own, report, ...(isPage ? { page } : {}) };
  waiting++;
  const done = turn.then(() => apart(asked)).finally(() => waiting--);
  turn = done.catch(() => {});
  return done;
}

function refusal(why: string): Error {
  return new Error(`KERB-REP-REFUSED: the box does not sign this: ${why}`);
}

async function apart(asked: AskedSignature): Promise<Signature> {
  const worker = new Worker(new URL("./asked-worker.ts", import.meta.url), { workerData: asked });
  const timer = setTimeout(() => void worker.terminate(), checkMs);
  try {
    const answer = await new Promise<SignedOrNot>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
      worker.once("exit", () => reject(new Error("the report could not be checked in time")));
    });
    if ("refused" in answer) throw refusal(answer.refused);
    return answer.signature;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
