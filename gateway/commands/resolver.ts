import type { Bench } from "./bench.ts";
import type { CommandValue } from "./command.ts";
import type { Known, Write } from "./memory.ts";
import { type CommandState, isFinal } from "./state.ts";

/** Finds out by reading what became of commands of which nobody could say whether they were written. */

const retryMsMax = 60_000;
const giveUpMs = 86_400_000;

interface Case {
  id: string;
  dev: string;
  timer: NodeJS.Timeout | undefined;
  pauseMs: number;
  isReading: boolean;
}

/** Whether a point shows what was ordered; scaled numbers come back with the noise of their scale. */
function isSameValue(read: CommandValue, ordered: CommandValue): boolean {
  if (typeof read !== "number" || typeof ordered !== "number") return read === ordered;
  return Math.abs(read - ordered) <= 1e-9 * Math.max(1, Math.abs(ordered));
}

/** What a command was when the gateway ended in the middle of it. */
export function stateAfterRestart(bench: Bench, { state, writes }: Known): CommandState {
  const code = "KERB-CMD-RESTARTED";
  const { args = {} } = state;
  const left = Object.keys(args).filter((point) => !writes.some((write) => write.point === point));
  const open = writes.filter((write) => write.state === undefined || write.state === "unknown");
  const about = { ...state, at: bench.at };
  if (open.length > 0)
    return {
      ...about,
      state: "unknown",
      code,
      reason: `${open.map(({ point }) => point).join(", ")} may be written`,
    };
  if (left.length > 0) return { ...about, state: "failed", code, reason: `not written: ${left.join(", ")}` };
  const isDone = writes.every((write) => write.state === "done");
  return isDone ? { ...about, state: "done" } : { ...about, state: "failed", code, reason: "it had failed" };
}

export class Resolver {
  readonly #bench: Bench;
  readonly #cases = new Map<string, Case>();
  readonly #resolved: () => void;

  constructor(bench: Bench, resolved: () => void) {
    this.#bench = bench;
    this.#resolved = resolved;
  }

  /** The commands that are looked into. */
  get ids(): string[] {
    return [...this.#cases.keys()];
  }

  /** Looks into a command after a while: what was sent may still be on its way. */
  add({ id, dev }: CommandState): void {
    if (this.#cases.has(id)) return;
    const one: Case = { id, dev, timer: undefined, pauseMs: this.#bench.retryFirstMs, isReading: false };
    this.#cases.set(id, one);
    this.#later(one);
  }

  /** A device may be there again. */
  wake(device: string): void {
    for (const one of this.#cases.values()) {
      if (one.dev !== device) continue;
      one.pauseMs = this.#bench.retryFirstMs;
      this.#later(one);
    }
  }

  stop(): void {
    for (const { timer } of this.#cases.values()) clearTimeout(timer);
    this.#cases.clear();
  }

  #later(one: Case): void {
    clearTimeout(one.timer);
    one.timer = setTimeout(() => void this.#look(one), one.pauseMs).unref();
    one.pauseMs = Math.min(retryMsMax, one.pauseMs * 2);
  }

  async #look(one: Case): Promise<void> {
    const { memory, queue, options } = this.#bench;
    if (one.isReading) return;
    const known = memory.known(one.id);
    if (known === undefined || isFinal(known.state)) return void this.#cases.delete(one.id);
    one.isReading = true;
    const isThere = options.facts(one.dev)?.state === "online";
    const found = isThere
      ? await queue.run(one.dev, () => this.#read(known)).catch(() => undefined)
      : undefined;
    if (this.#bench.isStopping || !this.#cases.has(one.id)) return;
    const isOver = options.now().wallMs - known.state.at > giveUpMs;
    one.isReading = found !== undefined || isOver;
    if (!one.isReading) return this.#later(one);
    await this.#end(known, found);
    this.#cases.delete(one.id);
  }

  /** What the points show that nobody knows of; undefined: one of them could not be read. */
  async #read({ state: { dev }, writes }: Known): Promise<Map<Write, CommandValue> | undefined> {
    const found = new Map<Write, CommandValue>();
    for (const write of writes) {
      if (write.state === "done" || write.state === "failed") continue;
      const { value } = await this.#bench.options.field.read(dev, write.point, this.#bench.signal);
      if (value === null) return undefined;
      found.set(write, value);
    }
    return found;
  }

  async #end({ state, writes }: Known, found: Map<Write, CommandValue> | undefined): Promise<void> {
    const { code: _, reason: __, ...about } = state;
    const { at } = this.#bench;
    if (found === undefined) {
      const reason = "its points could not be read";
      await this.#bench.result({ ...state, at, resolved: true, code: "KERB-CMD-UNRESOLVED", reason });
      return;
    }
    const readBack = { ...state.readBack };
    for (const [write, value] of found) {
      const { point, value: ordered } = write;
      readBack[point] = value;
      const became = isSameValue(value, ordered) ? "done" : "failed";
      this.#bench.journal.note({
        ev: "wrote",
        id: state.id,
        dev: state.dev,
        point,
        state: became,
        readBack: value,
      });
    }
    const isThere = ({ point, value, state: became }: Write): boolean =>
      became === "done" || (readBack[point] !== undefined && isSameValue(readBack[point]!, value));
    const wrong = [
      ...writes.filter((write) => !isThere(write)).map(({ point }) => point),
      ...Object.keys(state.args ?? {}).filter((point) => !writes.some((write) => write.point === point)),
    ];
    const ended: CommandState =
      wrong.length === 0
        ? { ...about, at, state: "done", resolved: true, readBack }
        : {
            ...about,
            at,
            state: "failed",
            resolved: true,
            readBack,
            code: "KERB-CMD-NOT-WRITTEN",
            reason: `not as ordered: ${wrong.join(", ")}`,
          };
    await this.#bench.result(ended);
    this.#resolved();
  }
}
