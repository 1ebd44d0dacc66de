import { DeviceError, type Connection } from "../driver.ts";
import type { HostDevice } from "./messages.ts";
import { keepSnapshot, type SnapshotRule } from "../snapshots.ts";

/** An event that comes with a picture waits so long for it, and those behind it too. */
const waitMs = 3000;
/** Of one device; a plate a second is a street, more is a storm. */
const pauseMs = 1000;
const waitingMax = 200;

type Data = Record<string, unknown>;
type Tell = (more: Data) => void;

/** Puts references of pictures into the events of one device, in their order. Never throws. */
export class Pictures {
  readonly #rule: SnapshotRule | undefined;
  readonly #device: string;
  readonly #connection: () => Connection<unknown> | undefined;
  #waiting: Tell[] = [];
  #taking: AbortController | undefined;
  #takenMs = -Infinity;

  constructor(
    { id, snapshots }: Pick<HostDevice, "id" | "snapshots">,
    connection: () => Connection<unknown> | undefined,
  ) {
    this.#rule = snapshots;
    this.#device = id;
    this.#connection = connection;
  }

  /** Calls `tell` with what is to be added to the event: at once, or when the picture is kept or given up. */
  attach(data: Data, tell: Tell): void {
    const isWanted = this.#isWanted(data);
    if (this.#taking !== undefined) {
      // What comes while one is taken keeps its place and goes without.
      this.#waiting.push(isWanted ? () => tell({ snapshot: { missing: "too-soon" } }) : tell);
      if (this.#waiting.length > waitingMax) this.end();
    } else if (!isWanted) tell({});
    else if (performance.now() - this.#takenMs < pauseMs) tell({ snapshot: { missing: "too-soon" } });
    else void this.#take(tell);
  }

  /** Gives up the picture that is being taken; its event goes without it. */
  end(): void {
    this.#taking?.abort();
  }

  #isWanted({ record, state }: Data): boolean {
    if (typeof record !== "string" || this.#rule?.records.includes(record) !== true) return false;
    return state === undefined || state === "active";
  }

  async #take(tell: Tell): Promise<void> {
    const taking = new AbortController();
    this.#taking = taking;
    const timer = setTimeout(() => taking.abort(), waitMs);
    const snapshot = await this.#kept(taking.signal);
    clearTimeout(timer);
    this.#taking = undefined;
    this.#takenMs = performance.now();
    tell({ snapshot });
    for (const one of this.#waiting.splice(0)) one({});
  }

  async #kept(signal: AbortSignal): Promise<Data> {
    const rule = this.#rule;
    try {
      const taken = this.#connection()?.snapshot?.(signal);
      if (rule === undefined || taken === undefined) return { missing: "unsupported" };
      const picture = await taken;
      return { ...(await keepSnapshot(rule, this.#device, picture).catch(() => ({ missing: "storage" }))) };
    } catch (error) {
      return { missing: error instanceof DeviceError ? error.code : "internal" };
    }
  }
}
