import type { Bench } from "./bench.ts";
import type { CommandValue } from "./command.ts";
import { inParts } from "./execution.ts";
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
  /** What has become of it is known, and goes on the record. */
  isEnding: boolean;
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
  const of = (became: Write["state"]) =>
    writes.filter((write) => write.state === became).map(({ point }) => point);
  const [written, failed] = [of("done"), of("failed")];
  if (left.length + failed.length === 0) return { ...about, state: "done" };
  if (written.length > 0) {
    const reason = inParts({ written, failed, "not begun": left });
    return { ...about, state: "failed", code: "KERB-CMD-PARTIAL", reason };
  }
  const reason = left.length > 0 ? inParts({ "not written": left }) : "it had failed";
  return { ...about, state: "failed", code, reason };
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
    const one: Case = {
      id,
      dev,
      timer: undefined,
      pauseMs: this.#bench.retryFirstMs,
      isReading: false,
      isEnding: false,
    };
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

  /** Reads these points before they are written to again, in the turn of that write: afterwards it is too late. */
  async before(device: string, points: readonly string[]): Promise<void> {
    for (const one of this.#cases.values()) {
      const known = this.#bench.memory.known(one.id);
      const isMine = known?.writes.some(({ point }) => points.includes(point)) === true;
      if (one.dev !== device || !isMine || one.isEnding || isFinal(known.state)) continue;
      one.isEnding = true;
      const found = await this.#read(known).catch(() => undefined);
      await this.#end(known, found, "its points were ordered anew before they could be read");
      this.#drop(one);
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
    if (one.isReading || one.isEnding) return;
    const known = memory.known(one.id);
    if (known === undefined || isFinal(known.state)) return this.#drop(one);
    one.isReading = true;
    const isThere = options.facts(one.dev)?.state === "online";
    const found = isThere
      ? await queue
          .run(one.dev, async () => (one.isEnding ? undefined : this.#read(known)))
          .catch(() => undefined)
      : undefined;
    one.isReading = false;
    if (this.#bench.isStopping || one.isEnding) return;
    const isOver = options.now().wallMs - known.state.at > giveUpMs;
    one.isEnding = found !== undefined || isOver;
    if (!one.isEnding) return this.#later(one);
    await this.#end(known, found, "its points could not be read");
    this.#drop(one);
  }

  #drop({ id, timer }: Case): void {
    clearTimeout(timer);
    this.#cases.delete(id);
  }

  /** What the points show that nobody knows of; undefined: one of them could not be read. */
  async #read({ state: { dev }, writes }: Known): Promise<Map<Write, CommandValue> | undefined> {
    const found = new Map<Write, CommandValue>();
    for (const write of writes) {
      if (write.state === "done" || write.state === "failed") continue;
      const { value } = await this.#bench.options.field.read(
        dev,
        write.point,
        this.#bench.signal,
        write.value,
      );
      if (value === null) return undefined;
      found.set(write, value);
    }
    return found;
  }

  async #end(
    { state, writes }: Known,
    found: Map<Write, CommandValue> | undefined,
    reason: string,
  ): Promise<void> {
    const { code: _, reason: __, ...about } = state;
    const { at } = this.#bench;
    if (found === undefined) {
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
        resolved: true,
      });
    }
    const isThere = ({ point, value, state: became }: Write): boolean =>
      became === "done" || (readBack[point] !== undefined && isSameValue(readBack[point]!, value));
    const there = writes.filter(isThere).map(({ point }) => point);
    const points = new Set([...writes.map(({ point }) => point), ...Object.keys(state.args ?? {})]);
    const wrong = [...points].filter((point) => !there.includes(point));
    const failure =
      there.length === 0
        ? { code: "KERB-CMD-NOT-WRITTEN", reason: inParts({ "not as ordered": wrong }) }
        : { code: "KERB-CMD-PARTIAL", reason: inParts({ written: there, "not as ordered": wrong }) };
    const ended: CommandState =
      wrong.length === 0
        ? { ...about, at, state: "done", resolved: true, readBack }
        : {
            ...about,
            at,
            state: "failed",
            resolved: true,
            readBack,
            ...failure,
          };
    await this.#bench.result(ended);
    this.#resolved();
  }
}
