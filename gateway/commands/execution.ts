import type { Bench, Reply } from "./bench.ts";
import { checkDevice, type Planned } from "./checks.ts";
import type { CommandContent, CommandValue, Refusal } from "./command.ts";
import { outcomeCode, type WriteOrder, type WriteOutcome } from "./order.ts";
import type { CommandSource, CommandStage, CommandState } from "./state.ts";

/** A command whose turn on its device has come: on the record first, then written once, then what came of it. */

export interface Job {
  content: CommandContent;
  digest: string;
  source: CommandSource;
  points: Planned[];
  /** Monotonic ms at which it dies. */
  untilMs: number;
  /** Finds out what became of writes to these points of which nobody knows, as long as it shows. */
  settle: (device: string, points: readonly string[]) => Promise<void>;
  /** It is on the record; rejects where it cannot be. */
  accepted: Promise<void>;
  reply: Reply | undefined;
  /** Each state on its way, for whoever asks again meanwhile. */
  moved: (state: CommandState) => void;
}

/** What every state of a command says of it. */
export function aboutCommand({ id, dev, by, mode, args }: CommandContent, source: CommandSource) {
  return { id, dev, by, mode, args, source };
}

/** Beyond the time that the host has for it: whoever is still silent has nothing to say. */
const graceMs = 5000;

const unknown = (reason: string): WriteOutcome => ({ state: "unknown", code: "KERB-CMD-HOST", reason });

/** The host's answer to an order; one that nobody gives, or that is none, means that nobody knows. */
export async function carryOut(bench: Bench, order: WriteOrder): Promise<WriteOutcome> {
  const late = new AbortController();
  const signal = AbortSignal.any([bench.signal, late.signal]);
  let timer: NodeJS.Timeout | undefined;
  const given = new Promise<WriteOutcome>((resolve) => {
    timer = setTimeout(() => {
      late.abort(new Error("no answer"));
      resolve(unknown("no answer"));
    }, order.timeoutMs + graceMs);
  });
  try {
    const asked = async () => bench.options.field.execute(order, signal);
    const outcome = await Promise.race([asked(), given]);
    if (!["done", "failed", "unknown"].includes(outcome?.state)) return unknown("no such answer");
    return outcome.code === undefined ? outcome : { ...outcome, code: outcomeCode(outcome.code) };
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** The value that a lease goes back to: the automatic one, that of the lease before it, or what the point shows now. */
async function laterValue(
  bench: Bench,
  device: string,
  { name: point, automatic }: Planned["point"],
): Promise<CommandValue | Refusal> {
  if (automatic !== undefined) return automatic;
  const running = bench.memory.lease(device, point);
  if (running !== undefined) return running.returnTo;
  try {
    const { value, reason = "it has no good value" } = await bench.options.field.read(
      device,
      point,
      bench.signal,
    );
    return value ?? { code: "KERB-CMD-BEFORE", reason: `${point}: ${reason}` };
  } catch (error) {
    return { code: "KERB-CMD-BEFORE", reason: `${point}: ${String(error)}` };
  }
}

/** What has become of the points of a command that was not done as a whole: "written: dim; not begun: scene". */
export function inParts(parts: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(parts)
    .filter(([, points]) => points.length > 0)
    .map(([what, points]) => `${what}: ${points.join(", ")}`)
    .join("; ");
}

/** What a command's points have come to, together. */
class Sum {
  stage: CommandStage = "done";
  readonly written: string[] = [];
  readonly more: Partial<CommandState> = {};

  add(point: string, { state, code, reason, before, readBack, writtenMs }: WriteOutcome): void {
    this.stage = state;
    if (state === "done") this.written.push(point);
    if (code !== undefined) this.more.code = code;
    if (reason !== undefined) this.more.reason = reason;
    if (before !== undefined) this.more.before = { ...this.more.before, [point]: before };
    if (readBack !== undefined) this.more.readBack = { ...this.more.readBack, [point]: readBack };
    if (writtenMs !== undefined) this.more.writtenMs = writtenMs;
  }

  fail(stage: CommandStage, { code, reason }: Refusal): void {
    this.stage = stage;
    Object.assign(this.more, { code, reason });
  }

  /** All was tried: what was `begun` and what was not, in the order of the points. */
  end(points: readonly string[], begun: readonly string[]): void {
    const { written } = this;
    const left = points.filter((name) => !begun.includes(name));
    const { code, reason = "it went wrong" } = this.more;
    if (this.stage === "done") return;
    if (this.stage === "unknown" || written.length === 0) {
      const others = inParts({ written, "not written": left });
      if (others !== "") this.more.reason = `${reason}; ${others}`;
      return;
    }
    const failed = begun
      .filter((name) => !written.includes(name))
      .map((name) => `${name} (${code === undefined ? "" : `${code}: `}${reason})`);
    // A part of it is executed: neither "expired" nor the code of the other part says so.
    this.fail("failed", {
      code: "KERB-CMD-PARTIAL",
      reason: inParts({ written, failed, "not begun": left }),
    });
  }
}

const noRecord = (error: unknown): Refusal => ({ code: "KERB-CMD-JOURNAL", reason: String(error) });

/** One point: the value that its lease goes back to, the record, the write. False: the next one is not begun. */
async function writePoint(
  bench: Bench,
  job: Job,
  { point, value, leaseMs }: Planned,
  sum: Sum,
): Promise<boolean> {
  const { id, dev } = job.content;
  const returnTo = leaseMs === undefined ? undefined : await laterValue(bench, dev, point);
  if (typeof returnTo === "object") {
    sum.fail("failed", returnTo);
    return false;
  }
  const { refreshMs } = point;
  // What is undefined is not on the record.
  const isLocal = job.source === "local" || undefined;
  const lease = returnTo === undefined ? {} : { lease: { ms: leaseMs, returnTo, refreshMs, isLocal } };
  const recorded = bench.journal.append({ ev: "executing", id, dev, point: point.name, value, ...lease });
  try {
    await Promise.all([job.accepted, recorded]);
  } catch (error) {
    // On the record or not: it has not been written, and a restart must not take it for written.
    recorded.then(
      () => bench.journal.note({ ev: "wrote", id, dev, point: point.name, state: "failed" }),
      () => {},
    );
    sum.fail("failed", noRecord(error));
    return false;
  }
  const { options, writeTimeoutMs } = bench;
  const leftMs = job.untilMs - options.now().monoMs;
  if (bench.isStopping || leftMs <= 0) {
    bench.journal.note({ ev: "wrote", id, dev, point: point.name, state: "failed" });
    sum.fail(bench.isStopping ? "failed" : "expired", {
      code: bench.isStopping ? "KERB-CMD-STOPPING" : "KERB-CMD-EXPIRED",
      reason: `${point.name} was not written`,
    });
    return false;
  }
  job.moved(bench.state({ ...aboutCommand(job.content, job.source), state: "running" }));
  const outcome = await carryOut(bench, {
    device: dev,
    point: point.name,
    value,
    timeoutMs: writeTimeoutMs,
    beginMs: Math.min(writeTimeoutMs, leftMs),
    isLocal,
  });
  bench.journal.note({ ev: "wrote", id, dev, point: point.name, ...outcome });
  sum.add(point.name, outcome);
  return outcome.state === "done";
}

/** Runs a command on its device; resolves with its result, which is on the record and told. Never rejects. */
export async function runJob(bench: Bench, job: Job): Promise<CommandState> {
  const { content, digest, source, points, untilMs, reply } = job;
  const { options } = bench;
  const sum = new Sum();
  const gone = checkDevice(content.dev, source === "local", options.facts(content.dev));
  if (options.now().monoMs >= untilMs)
    sum.fail("expired", { code: "KERB-CMD-EXPIRED", reason: "it has waited for too long" });
  else if (bench.isStopping) sum.fail("failed", { code: "KERB-CMD-STOPPING", reason: "not written" });
  else if (gone !== undefined) sum.fail("failed", gone);
  else {
    const begun: string[] = [];
    const names = points.map(({ point }) => point.name);
    await job.settle(content.dev, names);
    for (const planned of points) {
      const isDone = await writePoint(bench, job, planned, sum);
      begun.push(planned.point.name);
      if (!isDone) break;
    }
    sum.end(names, begun);
  }
  const isRecorded = await job.accepted.then(
    () => true,
    () => false,
  );
  const longest = Math.max(0, ...points.map(({ leaseMs = 0 }) => leaseMs));
  const state = bench.state({
    ...aboutCommand(content, source),
    state: isRecorded ? sum.stage : "rejected",
    ...sum.more,
    ...(sum.stage === "done" && longest > 0 ? { leaseMs: longest } : {}),
  });
  return bench.result(state, reply, isRecorded ? undefined : digest);
}
