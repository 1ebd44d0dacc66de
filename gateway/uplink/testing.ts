import { monotonicMs } from "../clock.ts";
import { EventWriter, type ClockState, type EventKind } from "../event.ts";
import { OutboxStore, type RowLane } from "../outbox/store.ts";
import type { Receiver } from "../receiver/receiver.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import { compress, type EncodingName } from "./encoding.ts";
import { Lanes } from "./lanes.ts";
import { SealLane } from "./seal-lane.ts";

/** A gateway from its queue file to its messages, without threads, sockets and timers: tests step it by hand. */

export const gateway = "gw-01";
const points = [0, 1].map((i) => ({
  name: `point.p${i}`,
  unit: "V",
  kind: "number" as const,
  decimals: 1,
}));

interface Uplink {
  name: string;
  lanes: Lanes;
  seals: SealLane;
  receiver: Receiver;
}

const writer = new EventWriter();

export class Box {
  readonly store: OutboxStore;
  readonly uplinks: Uplink[];
  readonly #device: number;
  readonly #points: number[];
  #value = 0;

  /** One uplink for each receiver; `encodings` by turns. Opens the file, and with it a new epoch. */
  constructor(
    path: string,
    receivers: readonly Receiver[],
    encodings: readonly EncodingName[] = ["columnar"],
  ) {
    this.store = new OutboxStore({ path, bytesMax: 1 << 26, gateway });
    const [, device] = this.store.register([
      { id: gateway, type: "gateway", profile: "", points: [] },
      { id: "dev-1", type: "energy-meter", profile: "eastron/sdm630", points },
    ]);
    this.#device = device?.index ?? 0;
    this.#points = device?.points.map(({ index }) => index) ?? [];
    const { hash, devices } = this.store.dictionary;
    this.uplinks = receivers.map((receiver, i) => {
      receiver.dictionary(gateway, compress(JSON.stringify({ v: 1, dict: hash, devices })));
      const name = `ioc-${i}`;
      const lanes = new Lanes(this.store, {
        name,
        city: "hcmc",
        gateway,
        encoding: encodings[i % encodings.length] ?? "columnar",
        windowMax: 20,
        bytesMax: 32_768,
        resendAfterMs: 30_000,
      });
      lanes.connect(20, 32_768);
      const seals = new SealLane(this.store.seals, name, 30_000);
      seals.connect(32_768);
      return { name, lanes, seals, receiver };
    });
  }

  /** Accepts telemetry of `dev-1`, each event with a value of its own. */
  accept(count: number, lane: RowLane = 1, clock: ClockState = "holdover"): void {
    this.#commit(
      Array.from({ length: count }, () => {
        writer.begin("telemetry", this.#device, Date.now(), monotonicMs(), clock);
        writer.count(2);
        writer.reading(this.#points[0] ?? 0, this.#value++, 1);
        writer.reading(this.#points[1] ?? 0, 23.5, 1);
        return { lane, body: Buffer.from(writer.bytes()) };
      }),
    );
  }

  /** Accepts one event of another kind, of `dev-1` or of the gateway itself. */
  tell(kind: EventKind, data: Record<string, unknown>, isOwn = false): void {
    writer.begin(kind, isOwn ? 1 : this.#device, Date.now(), monotonicMs(), "holdover");
    writer.object(data);
    this.#commit([{ lane: 0, body: Buffer.from(writer.bytes()) }]);
  }

  /** Drops rows as an eviction does, and accepts the gap event that tells of it. */
  evict(first: number, last: number): void {
    const rows = [0, 1].flatMap((lane) =>
      this.store.rows(lane as RowLane, this.store.base + first, this.store.base + last),
    );
    this.store.drop(rows, "evicted");
    const report = this.store.dropReport(1);
    if (report !== undefined) this.#commit([{ lane: 0, body: report.body }], report.mark);
  }

  #commit(events: { lane: RowLane; body: Buffer }[], also = () => {}): void {
    const planned = new Map<string, ReturnType<Lanes["planNew"]>>();
    const rows = this.store.commit(events, (stored) => {
      also();
      return this.uplinks.flatMap(({ name, lanes }) => {
        const cuts = lanes.planNew(stored);
        planned.set(name, cuts);
        return cuts.map((cut) => ({ uplink: name, cut }));
      });
    });
    for (const { name, lanes } of this.uplinks) lanes.stored(rows, planned.get(name) ?? []);
  }

  /** Sends what waits, and gives it back; `lose` says which messages the broker loses after its PUBACK. */
  send(lose: () => boolean = () => false): Buffer[] {
    const sent: Buffer[] = [];
    for (const { lanes, receiver } of this.uplinks) {
      for (let messages = lanes.next(0); messages.length > 0; messages = lanes.next(0)) {
        for (const { key, lane, payload } of messages) {
          if (!lose()) receiver.take(gateway, lane, payload);
          lanes.sent(key, 0);
          sent.push(payload);
        }
      }
    }
    return sent;
  }

  /** Each receiver acknowledges what it has; what that releases is sealed. */
  acknowledge(only = this.uplinks): void {
    const names = this.uplinks.map(({ name }) => name);
    for (const { name, lanes, seals, receiver } of only) {
      const document = receiver.acknowledgement(gateway, true) as Acknowledgement | undefined;
      if (document === undefined) continue;
      for (const { epoch, watermark } of lanes.acknowledge(document, 0, 1e9))
        while (this.store.release(name, epoch, watermark, names));
      seals.acknowledge(document);
    }
  }

  /** Sends the seals that wait; gives them back as they went. */
  sendSeals(lose: () => boolean = () => false): Buffer[] {
    const sent: Buffer[] = [];
    for (const { seals, receiver } of this.uplinks) {
      for (let message = seals.next(0); message !== undefined; message = seals.next(0)) {
        if (!lose()) receiver.take(gateway, "seal", message.payload);
        sent.push(message.payload);
        seals.landed(message.key, false, 0);
      }
    }
    return sent;
  }

  /** Everything that can get to the receivers and back does. */
  settle(): Buffer[] {
    // A receiver that never heard of an epoch does not ask for it: what stayed without an answer goes again.
    for (const { lanes } of this.uplinks) lanes.tick(1e9);
    this.send();
    this.acknowledge();
    this.store.seals.tick(
      this.uplinks.map(({ name }) => name),
      Date.now(),
    );
    const seals = this.sendSeals();
    this.acknowledge();
    return seals;
  }

  close(): void {
    this.store.close();
  }
}
