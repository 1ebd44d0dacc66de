import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { acknowledgement, pickEpochs, type Acknowledgement, type LiveEpoch } from "./acknowledge.ts";
import { Archive, type Cursor, type EventPage } from "./archive.ts";
import type { Change } from "./change.ts";
import { Certificates, type CertificatePage, type Signer } from "./certificates.ts";
import { storeError } from "./database.ts";
import { Gateways, summary, type GatewaySummary, type LiveGateway } from "./gateways.ts";
import { countOf } from "./ledger.ts";
import type { Seal } from "../uplink/seal.ts";
import { parseBirth, parseDictionary, parseSeal, readBatch, type Birth, type ReadBatch } from "./messages.ts";
import { Latest } from "./latest.ts";
import { Pending } from "./pending.ts";
import { mayLog, Rejections, sentence } from "./rejections.ts";
import { SealChecks } from "./seal-check.ts";
import { Store, type GatewayState, type RejectedRow } from "./store.ts";

export interface ReceiverOptions {
  /** The SQLite file. */
  database: string;
  /** Longest wait for a group commit. */
  commitMs?: number;
  /** Periodic acknowledgements list holes of at least this age. */
  holeAgeMs?: number;
  /** Time between acknowledgements when steady, and while holes or fill traffic exist. */
  ackIntervalMs?: number;
  busyIntervalMs?: number;
  /** Signs the certificates. */
  signer?: Signer | undefined;
  log?: (change: Change) => void;
}

/** What became of a message. `refused`: it could not be kept now, and the gateway will send it again. */
export type Taken = "stored" | "partly-stored" | "duplicate" | "rejected" | "refused";

const payloadBytesMax = 1024 * 1024;
const birthBytesMax = 64 * 1024;
const dictionariesMax = 1000;
const fragmentsMax = 10_000;
const fillActiveMs = 10_000;
const trafficActiveMs = 600_000;
const retryMs = 1000;

/**
 * The other end of kerb contract v1: takes messages, stores every event once, and says what is in durable storage.
 * No message makes a method throw. The database is used on the calling thread.
 */
export class Receiver {
  /** New with every process, so that gateways notice a restart. */
  readonly run = randomUUID();
  readonly #options: Required<Omit<ReceiverOptions, "log" | "signer">>;
  readonly #log: (change: Change) => void;
  readonly #store: Store;
  readonly #archive: Archive;
  readonly #latest: Latest;
  readonly #certificates: Certificates;
  readonly #checks: SealChecks;
  readonly #gateways: Gateways;
  readonly #pending = new Pending();
  readonly #rejections: Rejections;
  #commitTimer: NodeJS.Timeout | undefined;
  #ackTimer: NodeJS.Timeout | undefined;
  #publish: ((gateway: string, document: Acknowledgement) => void) | undefined;
  #recovered: (() => void) | undefined;
  /** The store has failed, so births and dictionaries may have been refused, which are not sent again by themselves. */
  hasMissed = false;
  #failing = false;
  #failureLoggedMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** Opens the database and rebuilds what is needed to answer. Throws `StoreError`. */
  constructor(options: ReceiverOptions) {
    const { log, signer, ...rest } = options;
    this.#log = log ?? (() => {});
    this.#options = { commitMs: 50, holeAgeMs: 10_000, ackIntervalMs: 60_000, busyIntervalMs: 5000, ...rest };
    this.#rejections = new Rejections(this.#pending, (change) => this.#log(change));
    this.#store = new Store(options.database);
    this.#archive = new Archive(this.#store);
    this.#certificates = new Certificates(this.#store, signer);
    this.#checks = new SealChecks(this.#store, this.#archive, (error) => this.#failed(error));
    this.#gateways = new Gateways(
      this.#store,
      () => this.flush(),
      (id) => this.#log({ kind: "gateway-first", gateway: id, text: `${id} is heard for the first time` }),
    );
    this.#latest = new Latest(this.#store, this.#archive, (id) => this.#gateways.known(id)?.state.online);
  }

  /** Takes one message of a lane; `topicGateway` is the gateway that the topic (or the login) names. */
  take(topicGateway: string, lane: string, payload: Uint8Array): Taken {
    if (this.#closed) return "refused";
    const gateway = this.#gateways.heard(topicGateway);
    if (gateway === undefined) return this.#rejectStranger(topicGateway, lane, payload);
    gateway.state.receivedMs = Date.now();
    gateway.trafficMs = performance.now();
    if (lane === "fill") gateway.fillMs = gateway.trafficMs;
    if (payload.length > payloadBytesMax)
      return this.#reject(gateway, lane, payload, `a message of ${payload.length} bytes`);
    if (lane === "seal") return this.#takeSeal(gateway, payload);
    let batch: ReadBatch;
    try {
      batch = readBatch(topicGateway, payload);
    } catch (error) {
      return this.#reject(gateway, lane, payload, sentence(error));
    }
    return this.#guard(() => this.#takeBatch(gateway, lane, payload, batch));
  }

  /** Takes a birth or a death. A birth is answered at once with every hole. */
  birth(gatewayId: string, payload: Uint8Array): void {
    if (payload.length === 0 || this.#closed) return;
    const gateway = this.#gateways.heard(gatewayId);
    if (gateway === undefined) return void this.#rejectStranger(gatewayId, "st", payload);
    let birth: Birth;
    try {
      if (payload.length > birthBytesMax) throw new RangeError(`a birth of ${payload.length} bytes`);
      birth = parseBirth(payload);
    } catch (error) {
      return void this.#reject(gateway, "st", payload, sentence(error));
    }
    this.#guard(() => this.#takeBirth(gateway, birth, payload));
  }

  /** Takes a point dictionary; batches that waited for it can be read from now on. */
  dictionary(gatewayId: string, payload: Uint8Array): void {
    if (payload.length === 0 || this.#closed) return;
    const gateway = this.#gateways.heard(gatewayId);
    if (gateway === undefined) return void this.#rejectStranger(gatewayId, "dict", payload);
    let hash: string;
    try {
      if (payload.length > payloadBytesMax) throw new RangeError(`a dictionary of ${payload.length} bytes`);
      ({ hash } = parseDictionary(payload));
    } catch (error) {
      return void this.#reject(gateway, "dict", payload, sentence(error));
    }
    this.#guard(() => {
      if (this.#pending.dictionaries.length > 0) this.flush();
      if (this.#store.dictionary(gatewayId, hash) !== undefined) return "duplicate";
      if (this.#store.dictionaryCount(gatewayId) >= dictionariesMax) {
        return this.#reject(gateway, "dict", payload, `one dictionary more than ${dictionariesMax}`);
      }
      this.#pending.dictionary({ gateway: gatewayId, hash, receivedMs: Date.now(), body: payload });
      this.#changed(gateway);
      return "stored";
    });
  }

  /** Takes what a gateway answers: the state of a command, or what it has of its twin. */
  answer(gatewayId: string, payload: Uint8Array, about: "command" | "twin" = "command"): void {
    if (!this.#closed && this.knows(gatewayId)) this.#latest.answer(gatewayId, payload, about);
  }

  /** Commits what is pending. False while the database refuses; it is tried again every second. */
  flush(): boolean {
    if (this.#failing || this.#closed) return false;
    return this.#pending.empty || this.#commit();
  }

  /**
   * What is in durable storage of a gateway; commits what is pending first. `everyHole`: also holes younger than
   * `holeAgeMs`. Undefined for an unknown gateway, or while the database refuses.
   */
  acknowledgement(gatewayId: string, everyHole: boolean): Acknowledgement | undefined {
    const gateway = this.#gateways.known(gatewayId);
    if (gateway === undefined || !this.flush()) return undefined;
    const nowMs = performance.now();
    this.#gateways.forgetClosed(gateway);
    const epochs = pickEpochs(gateway.epochs.values(), nowMs);
    gateway.ackMs = nowMs;
    for (const epoch of epochs) epoch.seals ??= this.#certificates.sealsOf(gatewayId, epoch.epoch);
    return acknowledgement(this.run, gateway.state, epochs, everyHole ? 0 : this.#options.holeAgeMs, nowMs);
  }

  /** Publishes every known gateway at once with every hole, then each when it is due. `recovered`: the store is well again. */
  start(publish: (gateway: string, document: Acknowledgement) => void, recovered?: () => void): void {
    this.stop();
    this.#publish = publish;
    this.#recovered = recovered;
    for (const { state } of this.#gateways.all()) this.#acknowledge(state.id, true);
    const { ackIntervalMs, busyIntervalMs } = this.#options;
    const tickMs = Math.max(10, Math.min(1000, ackIntervalMs / 2, busyIntervalMs / 2));
    this.#ackTimer = setInterval(() => this.#acknowledgeDue(), tickMs);
  }

  /** Ends publishing: the link is down. */
  stop(): void {
    clearInterval(this.#ackTimer);
    this.#publish = this.#recovered = undefined;
  }

  /** Commits and closes the database. Safe twice. */
  close(): void {
    if (this.#closed) return;
    this.stop();
    if (!this.#pending.empty) this.#commit();
    this.#closed = true;
    clearTimeout(this.#commitTimer);
    this.#checks.close();
    this.#latest.close();
    this.#store.close();
  }

  /** The gateways after `after` in order of their ids; committed state only. */
  summaries(after: string, limit: number): GatewaySummary[] {
    this.#settle();
    const list = [...this.#gateways.all()].filter(({ state }) => state.id > after);
    list.sort((a, b) => (a.state.id < b.state.id ? -1 : 1));
    return list.slice(0, limit).map(summary);
  }

  /** All gateways as they stand in memory, for counting. */
  everyGateway(): Iterable<GatewaySummary> {
    return [...this.#gateways.all()].map(summary);
  }

  /** Gateways that have ever been heard. */
  get gatewayCount(): number {
    return this.#gateways.count;
  }

  knows(gatewayId: string): boolean {
    return this.#gateways.known(gatewayId) !== undefined;
  }

  /** A page of stored events; throws `StoreError` while the database refuses. */
  events(gatewayId: string, cursor: Cursor, limit: number): EventPage {
    this.#settle();
    return this.#archive.events(gatewayId, cursor, limit);
  }

  /** The newest values of all devices, up to what was just taken; throws `StoreError` while the database refuses. */
  view(): Latest {
    this.#settle();
    this.#latest.catchUp();
    return this.#latest;
  }

  /** The newest value of each point; throws `StoreError` while the database refuses. */
  latest(gatewayId: string): ReturnType<Latest["values"]> {
    return this.view().values(gatewayId);
  }

  /**
   * Certificates of a gateway, period by period; `recheck`: hold the stored events against their seals once more.
   * Throws `StoreError` while the database refuses.
   */
  async certificates(
    gatewayId: string,
    span: { fromMs: number | undefined; toMs: number | undefined },
    limit: number,
    recheck = false,
  ): Promise<CertificatePage> {
    this.#settle();
    const { fromMs, toMs } = span;
    if (recheck) {
      const { certificates } = this.#certificates.page(gatewayId, fromMs, toMs, limit);
      const [first, last] = [certificates[0], certificates.at(-1)];
      const names = this.#certificates.sealsIn(
        gatewayId,
        Date.parse(first?.from ?? ""),
        Date.parse(last?.to ?? ""),
      );
      for (const name of names) this.#checks.add(name);
      await this.#checks.settled(names);
    }
    return this.#certificates.page(gatewayId, fromMs, toMs, limit);
  }

  /** The public key of the certificates' signatures; undefined: they are not signed. */
  get signer(): Signer | undefined {
    return this.#certificates.signer;
  }

  /** The last 20 messages of a gateway that could not be understood. */
  rejected(gatewayId: string): RejectedRow[] {
    this.#settle();
    return this.#store.rejected(gatewayId);
  }

  #takeBatch(gateway: LiveGateway, lane: string, payload: Uint8Array, batch: ReadBatch): Taken {
    const { decoded, ranges, losses } = batch;
    const nowMs = performance.now();
    const epoch = this.#gateways.epoch(gateway, decoded.epoch);
    const lossEpochs = losses.map((loss) => this.#gateways.epoch(gateway, loss.epoch));
    const first = ranges[0]?.[0] ?? 0;
    if (epoch.ledger.fragments >= fragmentsMax && first > epoch.ledger.watermark + 1) {
      this.#reject(gateway, lane, payload, `epoch ${epoch.epoch} has too many holes; fill the oldest first`);
      return "refused";
    }
    const fresh = epoch.ledger.add(ranges, nowMs);
    const count = countOf(fresh);
    gateway.state.events += count;
    gateway.state.duplicateEvents += decoded.seqs.length - count;
    // A gateway that sends what is closed has not heard of it.
    if (count === 0 && epoch.closedMs !== undefined) epoch.closedMs = Date.now();
    if (count === 0) gateway.state.duplicates++;
    else {
      const last = fresh[fresh.length - 1]?.[1] ?? 0;
      const start = fresh[0]?.[0] ?? 0;
      epoch.span = Math.max(epoch.span, last - start);
      this.#pending.batch({
        gateway: gateway.state.id,
        epoch: decoded.epoch,
        first: start,
        last,
        lane,
        dictionary: decoded.dictionary,
        receivedMs: Date.now(),
        take: count === decoded.seqs.length ? undefined : fresh,
        body: payload,
      });
    }
    for (const [i, loss] of losses.entries()) {
      const lossEpoch = lossEpochs[i];
      if (lossEpoch?.ledger.declare(loss, nowMs) === true) this.#changed(gateway, lossEpoch);
    }
    this.#changed(gateway, epoch);
    return count === 0 ? "duplicate" : count === decoded.seqs.length ? "stored" : "partly-stored";
  }

  #takeSeal(gateway: LiveGateway, payload: Uint8Array): Taken {
    let seal: Seal;
    try {
      seal = parseSeal(gateway.state.id, payload);
    } catch (error) {
      return this.#reject(gateway, "seal", payload, sentence(error));
    }
    return this.#guard(() => {
      const { gw, ep, no, from, to, tomb } = seal;
      const nowMs = performance.now();
      const epoch = this.#gateways.epoch(gateway, ep);
      const known = this.#pending.sealLike(seal) ?? this.#certificates.seal(gw, ep, no);
      if (known !== undefined) {
        if (epoch.closedMs !== undefined) epoch.closedMs = Date.now();
        this.#changed(gateway, epoch);
        if (JSON.stringify(known) === JSON.stringify(seal)) return "duplicate";
        const reason = `seal ${no} of epoch ${ep} has come with other content`;
        return this.#reject(gateway, "seal", payload, reason);
      }
      for (const [a, b, reason] of tomb) epoch.ledger.declare({ from: a, to: b, reason }, nowMs);
      if (to >= from) epoch.ledger.extend(to, nowMs);
      this.#pending.seal({ seal, receivedMs: Date.now() });
      epoch.seals = undefined;
      this.#changed(gateway, epoch);
      return "stored";
    });
  }

  #takeBirth(gateway: LiveGateway, birth: Birth, payload: Uint8Array): Taken {
    const { state } = gateway;
    if (!birth.online) {
      if ((birth.session ?? Infinity) < (state.session ?? 0)) return "duplicate";
      if (state.online !== false)
        this.#log({ kind: "gateway-offline", gateway: state.id, text: `${state.id} is offline` });
      state.online = false;
      this.#changed(gateway);
      return "stored";
    }
    const nowMs = performance.now();
    for (const [number, last] of birth.ended) {
      const epoch = this.#gateways.epoch(gateway, number);
      epoch.ledger.expect(last, nowMs);
      // The gateway still keeps rows of it, so it must hear that they are stored.
      if (epoch.ledger.closed) epoch.closedMs = Date.now();
      this.#changed(gateway, epoch);
    }
    if (birth.epoch !== undefined) this.#changed(gateway, this.#gateways.epoch(gateway, birth.epoch));
    if (state.online !== true || state.session !== birth.session) {
      const text = `${state.id} is online (session ${birth.session ?? "?"}, epoch ${birth.epoch ?? "?"})`;
      const which = { session: birth.session, epoch: birth.epoch };
      this.#log({ kind: "gateway-online", gateway: state.id, text, ...which });
    }
    const { session, epoch } = birth;
    Object.assign(state, {
      online: true,
      session,
      epoch,
      birthMs: Date.now(),
    } satisfies Partial<GatewayState>);
    this.#pending.birth({ gateway: state.id, receivedMs: Date.now(), body: payload });
    this.#changed(gateway);
    for (const live of gateway.epochs.values()) live.listedMs = Number.NEGATIVE_INFINITY;
    this.#acknowledge(state.id, true);
    return "stored";
  }

  /** Runs what needs the database and room in the group; without either the message is refused, not lost. */
  #guard(work: () => Taken): Taken {
    if (this.#pending.full && !this.flush()) return "refused";
    try {
      const taken = work();
      if (this.#pending.full) this.flush();
      return taken;
    } catch (error) {
      this.#failed(error);
      return "refused";
    }
  }

  #commit(): boolean {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    try {
      if (this.#failing) this.#store.reopen();
      this.#store.commit(this.#pending);
    } catch (error) {
      this.#failed(error);
      return false;
    }
    this.#checkSeals();
    this.#pending.clear();
    if (!this.#failing) return true;
    this.#failing = false;
    const { database } = this.#options;
    this.#log({ kind: "store-recovered", text: `${database} takes data again`, database });
    this.#recovered?.();
    return true;
  }

  /** What has just been committed is held against the seals, and seen by the view. */
  #checkSeals(): void {
    const { seals, batches, dictionaries } = this.#pending;
    for (const { seal } of seals) this.#checks.add({ gateway: seal.gw, epoch: seal.ep, no: seal.no });
    for (const { gateway, epoch, first, last } of batches) this.#checks.stored(gateway, epoch, first, last);
    for (const { gateway } of dictionaries) this.#checks.readable(gateway);
    this.#latest.committed(dictionaries);
  }

  #failed(error: unknown): void {
    this.#failing = this.hasMissed = true;
    clearTimeout(this.#commitTimer);
    this.#commitTimer = setTimeout(() => this.#commit(), retryMs);
    if (!mayLog(this.#failureLoggedMs)) return;
    this.#failureLoggedMs = performance.now();
    const { database } = this.#options;
    const { message: reason } = storeError(database, error);
    const text = `${reason}; nothing is acknowledged until it takes data again`;
    this.#log({ kind: "store-failed", text, database, reason });
  }

  /** What a reader of the database must see. */
  #settle(): void {
    if (!this.flush()) throw storeError(this.#options.database, new Error("it takes no data now"));
  }

  #changed(gateway: LiveGateway, epoch?: LiveEpoch): void {
    this.#pending.gateways.add(gateway.state);
    if (epoch !== undefined) {
      if (!epoch.ledger.closed) epoch.closedMs = undefined;
      else epoch.closedMs ??= Date.now();
      this.#pending.epochs.add(epoch);
    }
    this.#schedule();
  }

  #reject(gateway: LiveGateway, lane: string, payload: Uint8Array, reason: string): "rejected" {
    this.#rejections.add(gateway, lane, payload, reason);
    this.#changed(gateway);
    return "rejected";
  }

  #rejectStranger(id: string, lane: string, payload: Uint8Array): "rejected" {
    this.#rejections.addStranger(id, lane, payload);
    this.#schedule();
    return "rejected";
  }

  #schedule(): void {
    this.#commitTimer ??= setTimeout(() => this.#commit(), this.#options.commitMs);
  }

  #acknowledge(gatewayId: string, everyHole: boolean): void {
    if (this.#publish === undefined) return;
    const document = this.acknowledgement(gatewayId, everyHole);
    if (document !== undefined) this.#publish(gatewayId, document);
  }

  #acknowledgeDue(): void {
    const nowMs = performance.now();
    for (const gateway of this.#gateways.all()) {
      const { state, ackMs, trafficMs, fillMs, epochs } = gateway;
      if (state.online !== true && nowMs - trafficMs > trafficActiveMs) continue;
      let busy = nowMs - fillMs < fillActiveMs;
      for (const { ledger, listedMs } of epochs.values()) busy ||= ledger.holeCount > 0 || listedMs < 0;
      const waitMs = busy
        ? Math.min(this.#options.busyIntervalMs, this.#options.ackIntervalMs)
        : this.#options.ackIntervalMs;
      if (nowMs - ackMs >= waitMs) this.#acknowledge(state.id, false);
    }
  }
}
