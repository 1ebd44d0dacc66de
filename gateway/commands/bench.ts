import type { Scheduled } from "../schedules/levels.ts";
import type { DeviceFacts } from "./checks.ts";
import type { CommandValue } from "./command.ts";
import type { Journal, Moment } from "./journal.ts";
import type { Memory } from "./memory.ts";
import type { Field } from "./order.ts";
import type { DeviceQueue } from "./queue.ts";
import type { Budgets } from "./refusals.ts";
import type { CommandState } from "./state.ts";

/** How the sender of a command wants its answers (MQTT 5); handed back with each of them. */
export interface Reply {
  topic?: string;
  correlation?: Uint8Array;
}

export interface DeskOptions {
  /** `commands` of the state folder. */
  folder: string;
  gateway: string;
  /** First part of the topics. */
  city: string;
  field: Field;
  facts: (device: string) => DeviceFacts | undefined;
  /**
   * Every state of every command: an event, and an answer to whoever has sent it. Resolves when the event has been
   * accepted; a result that was not is told again at the next start.
   */
  tell: (state: CommandState, reply: Reply | undefined) => void | Promise<void>;
  now: () => Moment;
  /** What is to be kept at which time of the day. */
  schedules?: readonly Scheduled[];
  /** How often these are looked at, and how often what the devices show. */
  scheduleTickMs?: number;
  scheduleCheckMs?: number;
  /** Something about a device that is no command, for an event; without `dev` about the gateway. */
  note?: (dev: string | undefined, data: Record<string, unknown>) => void;
  log?: (text: string) => void;
  /** For one write with its read-back. */
  writeTimeoutMs?: number;
  /** Before a return or a reading is tried again for the first time; then twice as long, up to a minute. */
  retryFirstMs?: number;
  /** Of the journal; absent: 16 segments of 1 MiB. */
  segmentBytesMax?: number;
  segmentsMax?: number;
  /** Refused and repeated commands in a minute; more are only counted. */
  budgets?: Partial<Budgets>;
}

/** What the parts of the desk work with. */
export class Bench {
  readonly options: DeskOptions;
  readonly journal: Journal;
  readonly memory: Memory;
  readonly queue: DeviceQueue;
  /** What a point is to be now by its schedule, where nobody has ordered something else since. */
  scheduled: (device: string, point: string) => CommandValue | undefined = () => undefined;
  /** Nothing more is begun. */
  isStopping = false;
  readonly #stop = new AbortController();

  constructor(options: DeskOptions, journal: Journal, memory: Memory, queue: DeviceQueue) {
    this.options = options;
    this.journal = journal;
    this.memory = memory;
    this.queue = queue;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get retryFirstMs(): number {
    return this.options.retryFirstMs ?? 2000;
  }

  get writeTimeoutMs(): number {
    return this.options.writeTimeoutMs ?? 10_000;
  }

  /** Gives up what is under way. */
  abort(): void {
    this.#stop.abort(new Error("the gateway stops"));
  }

  log(text: string): void {
    this.options.log?.(text);
  }

  /** A state with what they all have. */
  state(of: Omit<CommandState, "v" | "gw" | "at">): CommandState {
    return { v: 1, gw: this.options.gateway, at: this.at, ...of };
  }

  /** Now, as states have it. */
  get at(): number {
    return Math.round(this.options.now().wallMs);
  }

  /**
   * Tells a state; nobody waits, and nothing that goes wrong with it comes back. With `isKept` the state is on the
   * record, and so is then that it was told.
   */
  tell(state: CommandState, reply?: Reply, isKept = false): void {
    const told = async () => this.options.tell(state, reply);
    told().then(
      () => isKept && this.journal.note({ ev: "told", id: state.id }),
      (error: unknown) => this.log(`a state of command ${state.id} was not told: ${String(error)}`),
    );
  }

  /**
   * Puts a result on the record, then tells it; where the record fails, it says so in what it tells. `digest`: of a
   * command that is not on the record yet.
   */
  async result(state: CommandState, reply?: Reply, digest?: string): Promise<CommandState> {
    let told = state;
    try {
      // A token in a file that others may read would be no token.
      const { arm: _, nonce: __, ...kept } = state;
      await this.journal.append({ ev: "result", state: kept, ...(digest === undefined ? {} : { digest }) });
    } catch (error) {
      this.log(`the result of command ${state.id} is not on the record: ${String(error)}`);
      told = { ...state, unrecorded: true };
    }
    this.tell(told, reply, told === state);
    return told;
  }
}
