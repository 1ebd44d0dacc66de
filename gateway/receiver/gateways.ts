import { closedListedMs, type LiveEpoch } from "./acknowledge.ts";
import { countOf, Ledger } from "./ledger.ts";
import { gatewayPattern } from "./messages.ts";
import type { GatewayState, Store } from "./store.ts";

/** A gateway in memory. Times are monotonic ms, -Infinity = never. */
export interface LiveGateway {
  state: GatewayState;
  /** The least recently used first. */
  epochs: Map<number, LiveEpoch>;
  ackMs: number;
  trafficMs: number;
  fillMs: number;
  rejectLoggedMs: number;
}

/** One epoch in `GatewaySummary`; `lost` = events declared lost, `missing` = events in holes. */
interface EpochSummary {
  epoch: number;
  wm: number;
  top: number;
  holes: number;
  missing: number;
  lost: number;
  closed: boolean;
}

/** The state of a gateway as the HTTP API shows it; null where nothing was heard. Counters are totals. */
export interface GatewaySummary {
  id: string;
  online: boolean | null;
  session: number | null;
  epoch: number | null;
  epochs: EpochSummary[];
  eventsStored: number;
  duplicateBatches: number;
  duplicateEvents: number;
  rejected: number;
  lastReceivedMs: number | null;
}

export const gatewaysMax = 20_000;
const epochsMax = 256;

/** The gateways and the epochs that are in use; the rest is in the database and read when it is asked for. */
export class Gateways {
  readonly #store: Store;
  /** Commits what is pending; false when the database refuses. */
  readonly #flush: () => boolean;
  readonly #met: (id: string) => void;
  readonly #live = new Map<string, LiveGateway>();

  /** `met`: a gateway was heard that nobody had heard of. */
  constructor(store: Store, flush: () => boolean, met: (id: string) => void) {
    this.#store = store;
    this.#flush = flush;
    this.#met = met;
    for (const state of store.gateways()) {
      const gateway = this.#adopt(state);
      for (const epoch of store.openEpochs(state.id, Date.now() - closedListedMs, epochsMax).reverse()) {
        gateway.epochs.set(epoch.epoch, { ...epoch, listedMs: Number.NEGATIVE_INFINITY });
      }
    }
  }

  known(id: string): LiveGateway | undefined {
    return this.#live.get(id);
  }

  get count(): number {
    return this.#live.size;
  }

  all(): Iterable<LiveGateway> {
    return this.#live.values();
  }

  /** The gateway of this id, made when it is heard for the first time; undefined if that is not allowed. */
  heard(id: string): LiveGateway | undefined {
    const known = this.#live.get(id);
    if (known !== undefined || !gatewayPattern.test(id) || this.#live.size >= gatewaysMax) return known;
    this.#met(id);
    const counters = { events: 0, duplicates: 0, duplicateEvents: 0, rejected: 0, receivedMs: undefined };
    return this.#adopt({
      id,
      online: undefined,
      session: undefined,
      epoch: undefined,
      birthMs: undefined,
      ...counters,
    });
  }

  /** The epoch, from memory, from the database, or new. */
  epoch(gateway: LiveGateway, number: number): LiveEpoch {
    const { epochs } = gateway;
    let epoch = epochs.get(number);
    if (epoch === undefined) {
      if (epochs.size >= epochsMax) this.#forgetOne(gateway);
      const fresh = {
        gateway: gateway.state.id,
        epoch: number,
        ledger: new Ledger(),
        span: 0,
        closedMs: undefined,
      };
      epoch = {
        ...(this.#store.epoch(gateway.state.id, number) ?? fresh),
        listedMs: Number.NEGATIVE_INFINITY,
      };
    } else epochs.delete(number);
    epochs.set(number, epoch);
    return epoch;
  }

  /** Forgets epochs that have been listed as closed for long enough. Only after a commit. */
  forgetClosed({ epochs }: LiveGateway): void {
    const newest = Math.max(...epochs.keys());
    for (const [number, { closedMs }] of epochs) {
      if (number !== newest && closedMs !== undefined && Date.now() - closedMs > closedListedMs)
        epochs.delete(number);
    }
  }

  #adopt(state: GatewayState): LiveGateway {
    const never = Number.NEGATIVE_INFINITY;
    const epochs = new Map<number, LiveEpoch>();
    const gateway = { state, epochs, ackMs: never, trafficMs: never, fillMs: never, rejectLoggedMs: never };
    this.#live.set(state.id, gateway);
    return gateway;
  }

  #forgetOne({ epochs }: LiveGateway): void {
    // An epoch that is not yet committed would be read back in its old state.
    if (!this.#flush()) throw new Error("too many epochs wait for the database");
    const oldest = epochs.keys().next();
    if (oldest.done !== true) epochs.delete(oldest.value);
  }
}

/** What the HTTP API shows of a gateway. */
export function summary({ state, epochs }: LiveGateway): GatewaySummary {
  const list = [...epochs.values()].sort((a, b) => b.epoch - a.epoch);
  return {
    id: state.id,
    online: state.online ?? null,
    session: state.session ?? null,
    epoch: state.epoch ?? list[0]?.epoch ?? null,
    epochs: list.map(({ epoch, ledger }) => {
      const { holes } = ledger.state();
      const lost = ledger.losses.reduce((sum, loss) => sum + loss.to - loss.from + 1, 0);
      const { watermark: wm, top, closed } = ledger;
      return { epoch, wm, top, holes: holes.length, missing: countOf(holes), lost, closed };
    }),
    eventsStored: state.events,
    duplicateBatches: state.duplicates,
    duplicateEvents: state.duplicateEvents,
    rejected: state.rejected,
    lastReceivedMs: state.receivedMs ?? null,
  };
}
