import {
  DeviceError,
  type Answer,
  type Browsed,
  type BrowseRequest,
  type Connection,
  type DriverContext,
  type Identity,
  type LeftOut,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Subscription,
  type Value,
} from "../../gateway/driver.ts";
import { browse } from "./browse.ts";
import { aborted, type Channel } from "./channel.ts";
import type { OpenEndpoint } from "./endpoint.ts";
import { codeOfWrite, statusName, writeError } from "./failures.ts";
import {
  AttributeIds,
  CallMethodRequest,
  CallRequest,
  coerceNodeId,
  DataType,
  DataValue,
  ReadRequest,
  ReadValueId,
  TimestampsToReturn,
  Variant,
  VariantArrayType,
  WriteRequest,
  WriteValue,
  type CallResponse,
  type NodeId,
  type ReadResponse,
  type WriteResponse,
} from "./library.ts";
import { Nodes, type Found, type Send } from "./nodes.ts";
import { fingerprintOf } from "./pki.ts";
import type { Kept } from "./records.ts";
import { closeSession, openSession, type Session } from "./session.ts";
import type { Address, Settings } from "./settings.ts";
import { listen } from "./subscription.ts";
import { answerOf, bad, variantOf } from "./values.ts";

type Points = readonly PointRequest<Address>[];

/** Nodes of the standard's own namespace (OPC 10000-6, annex A). */
const standard = {
  namespaces: "i=2255",
  buildInfo: "i=2260",
  nodesPerRead: "i=11705",
  pathsPerRequest: "i=11712",
  itemsPerRequest: "i=11714",
} as const;
const nodesPerReadMax = 1000;

/** What is left of a connection whose server may still keep the session. */
export interface Remains {
  readonly session: Session;
  readonly lostMs: number;
  readonly kept: Kept | undefined;
}

export interface ConnectionOptions {
  readonly open: OpenEndpoint;
  readonly session: Session;
  readonly settings: Settings;
  readonly context: DriverContext;
  /** Takes a session whose server could not be told that it is over. */
  readonly leave: (remains: Remains) => void;
  readonly kept?: Kept | undefined;
}

/**
 * One session on one channel. A call that is aborted or not answered in time ends the connection: the server's late
 * answer has nowhere to arrive. A session that could not be closed is left to `leave`, so that the next connection
 * takes it over instead of making one more.
 */
export class OpcuaConnection implements Connection<Address> {
  readonly #open: OpenEndpoint;
  #session: Session;
  readonly #settings: Settings;
  readonly #context: DriverContext;
  readonly #leave: (remains: Remains) => void;
  readonly #place: string;
  readonly #channel: Channel;
  readonly #closing = new AbortController();
  readonly #plans = new WeakMap<Points, Found[]>();
  #nodes: Nodes | undefined;
  #nodesPerRead = nodesPerReadMax;
  #ending: Promise<void> | undefined;
  #why: DeviceError | undefined;
  #isNamespaceMissing = false;
  #kept: Kept | undefined;

  constructor({ open, session, settings, context, leave, kept }: ConnectionOptions) {
    this.#open = open;
    this.#channel = open.channel;
    this.#session = session;
    this.#settings = settings;
    this.#context = context;
    this.#leave = leave;
    this.#kept = kept;
    this.#place = open.channel.place;
  }

  /** Learns what the server calls things. Rejects with `DeviceError`. */
  async prepare(signal: AbortSignal): Promise<void> {
    const { namespaces, nodesPerRead, pathsPerRequest, itemsPerRequest } = standard;
    const answers = await this.#values([namespaces, nodesPerRead, pathsPerRequest, itemsPerRequest], signal);
    const [uris, ...limits] = answers.map(({ value }) => value?.value as unknown);
    if (!Array.isArray(uris))
      throw new DeviceError("garbage", `${this.#place}: the server has no list of namespaces`);
    // 0: the server knows no limit.
    const [nodes = Infinity, paths = Infinity, items = Infinity] = limits.map((limit) =>
      typeof limit === "number" && limit > 0 ? limit : Infinity,
    );
    this.#nodes = new Nodes(this.#settings, uris as string[], { limits: { paths, items } });
    this.#nodesPerRead = Math.min(nodes, nodesPerReadMax);
  }

  async identify(signal: AbortSignal): Promise<Identity> {
    return this.#call(signal, async () => {
      const [info] = await this.#values([standard.buildInfo], signal);
      const build = (info?.value?.value ?? {}) as Partial<Record<string, unknown>>;
      const text = (key: string): string =>
        typeof build[key] === "string" ? build[key].trim().slice(0, 200) : "";
      const identity: Identity = { more: {} };
      const more = identity.more ?? {};
      if (text("manufacturerName") !== "") identity.vendor = text("manufacturerName");
      if (text("productName") !== "") identity.model = text("productName");
      if (text("softwareVersion") !== "") identity.firmware = text("softwareVersion");
      if (text("buildNumber") !== "") more["BuildNumber"] = text("buildNumber");
      if (text("productUri") !== "") more["ProductUri"] = text("productUri");
      const certificate = this.#open.endpoint.serverCertificate;
      if (certificate !== null && certificate.length > 0) more["certificate"] = fingerprintOf(certificate);
      return identity;
    });
  }

  async read(points: Points, { signal, raw = false }: ReadOptions): Promise<ReadResult> {
    return this.#call(signal, async () => {
      const found = await this.#planOf(points, signal);
      const wanted = found.flatMap((one, i) => ("node" in one ? [{ i, node: one.node }] : []));
      const answers: Answer[] = found.map((one) => ("node" in one ? 0 : bad(one.code, one.reason)));
      const atMs: number[] = found.map(() => performance.now());
      const values = await this.#readNodes(
        wanted.map(({ node }) => node),
        signal,
        (k, nowMs) => (atMs[wanted[k]?.i ?? 0] = nowMs),
      );
      wanted.forEach(({ i }, k) => {
        const data = values[k];
        answers[i] = data === undefined ? bad("no-answer") : answerOf(data, points[i]?.address ?? {}, raw);
      });
      return wanted.length > this.#nodesPerRead ? { answers, atMs } : { answers };
    });
  }

  subscribe(subscription: Subscription<Address>): Promise<void> {
    const { signal } = subscription;
    if (signal.aborted) return Promise.resolve();
    if (this.#why !== undefined) return Promise.reject(this.#why);
    return listen({
      subscription,
      settings: this.#settings,
      place: this.#place,
      channel: this.#channel,
      session: this.#session,
      nodes: this.#known(),
      closing: this.#closing.signal,
      send: this.#send,
      readNodes: (nodes) => this.#readNodes(nodes, this.#closing.signal),
      log: (text) => this.#context.log("warn", text),
      before: this.#kept,
      keep: (kept) => (this.#kept = kept),
    }).catch((error: unknown) => {
      if (this.#why !== undefined) throw this.#why;
      throw error;
    });
  }

  async *browse(request: BrowseRequest): AsyncGenerator<Browsed | LeftOut> {
    const send: Send = (message, signal) => this.#call(signal, () => this.#send(message, signal));
    try {
      yield* browse({ place: this.#place, nodes: this.#known(), send, request });
    } catch (error) {
      if (!(error instanceof DeviceError)) throw this.#garbage(error);
      if (error.code === "garbage") this.#lose(error);
      throw error;
    }
  }

  async write(point: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void> {
    const { address } = point;
    await this.#call(signal, async () => {
      const [found] = await this.#known().find([address], this.#send, signal);
      if (found === undefined || "code" in found)
        throw new DeviceError("rejected", `${this.#place}: ${found?.reason ?? "no such node"}`);
      if (address.method !== undefined) await this.#callMethod(found.node, address, value, signal);
      else await this.#writeNode(found.node, address, value, signal);
    });
  }

  close(): Promise<void> {
    this.#why ??= new DeviceError("closed", `${this.#place}: closed`);
    return this.#end(this.#why);
  }

  /** Runs one call; when it is aborted or gets no answer, the connection is of no use any more. */
  async #call<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    if (signal.aborted) throw aborted(this.#place);
    if (this.#why !== undefined) throw this.#why;
    if (this.#channel.lost !== undefined) throw this.#channel.lost;
    try {
      await this.#stayKnown(signal);
      return await work();
    } catch (error) {
      if (this.#why !== undefined) throw this.#why;
      if (!(error instanceof DeviceError)) throw this.#garbage(error);
      if (["aborted", "silent", "hung-up", "garbage"].includes(error.code)) this.#lose(error);
      throw error;
    }
  }

  /**
   * A server forgets a session that asks nothing for too long: where only slow polls use it, a new one is made on
   * the same channel. A subscription asks often enough by itself.
   */
  async #stayKnown(signal: AbortSignal): Promise<void> {
    const idleMs = performance.now() - this.#channel.usedMs;
    if (this.#kept !== undefined || idleMs < 0.8 * this.#session.timeoutMs) return;
    await closeSession(this.#channel, this.#session);
    this.#session = await openSession(this.#open, this.#settings, `kerb ${this.#context.deviceId}`, signal);
  }

  /** What a server sent broke the decoding of it. */
  #garbage(error: unknown): DeviceError {
    const broken = new DeviceError(
      "garbage",
      `${this.#place}: an answer that makes no sense: ${String(error)}`,
      {
        cause: error,
      },
    );
    this.#lose(broken);
    return broken;
  }

  #lose(error: DeviceError): void {
    const text = `${this.#place}: the connection has ended: ${error.message}`;
    this.#why ??= error.code === "aborted" ? new DeviceError("closed", text, { cause: error }) : error;
    void this.#end(this.#why);
  }

  #end(why: DeviceError): Promise<void> {
    this.#ending ??= this.#finish(why);
    return this.#ending;
  }

  async #finish(why: DeviceError): Promise<void> {
    this.#closing.abort(why);
    const isClosed = this.#channel.lost === undefined && (await closeSession(this.#channel, this.#session));
    if (isClosed) await this.#channel.close();
    else {
      this.#channel.destroy(why);
      this.#leave({ session: this.#session, lostMs: performance.now(), kept: this.#kept });
    }
  }

  readonly #send: Send = (request, signal) => {
    request.requestHeader.authenticationToken = this.#session.token;
    if (signal.aborted) return Promise.reject(aborted(this.#place));
    if (this.#closing.signal.aborted) return Promise.reject(this.#why ?? aborted(this.#place));
    return this.#channel.request(request, { signal: AbortSignal.any([signal, this.#closing.signal]) });
  };

  #known(): Nodes {
    if (this.#nodes === undefined) throw new DeviceError("closed", `${this.#place}: not connected`);
    return this.#nodes;
  }

  async #planOf(points: Points, signal: AbortSignal): Promise<Found[]> {
    const known = this.#plans.get(points);
    if (known !== undefined) return known;
    if (this.#isNamespaceMissing) await this.prepare(signal);
    const found = await this.#known().find(
      points.map(({ address }) => address),
      this.#send,
      signal,
    );
    this.#isNamespaceMissing = found.some((one) => "code" in one && one.code === "unknown-namespace");
    // A node that is not there now may be there at the next poll.
    const isSettled = found.every((one, i) => "node" in one || points[i]?.address.path === undefined);
    if (isSettled && !this.#isNamespaceMissing) this.#plans.set(points, found);
    return found;
  }

  async #values(ids: readonly string[], signal: AbortSignal): Promise<DataValue[]> {
    return this.#readNodes(
      ids.map((id) => coerceNodeId(id)),
      signal,
    );
  }

  /** In pieces where the server reads few nodes at a time; `at` learns when each answer came. */
  async #readNodes(
    nodes: readonly NodeId[],
    signal: AbortSignal,
    at: (index: number, nowMs: number) => void = () => {},
  ): Promise<DataValue[]> {
    const all: DataValue[] = [];
    while (all.length < nodes.length) {
      const group = nodes.slice(all.length, all.length + this.#nodesPerRead);
      const request = new ReadRequest({
        maxAge: 0,
        timestampsToReturn: TimestampsToReturn.Both,
        nodesToRead: group.map((nodeId) => new ReadValueId({ nodeId, attributeId: AttributeIds.Value })),
      });
      const { results } = await this.#send<ReadResponse>(request, signal);
      if (results?.length !== group.length)
        throw new DeviceError(
          "garbage",
          `${this.#place}: ${group.length} nodes asked, ${results?.length ?? 0} answered`,
        );
      const nowMs = performance.now();
      group.forEach((_, i) => at(all.length + i, nowMs));
      all.push(...results);
    }
    return all;
  }

  async #writeNode(
    nodeId: NodeId,
    { type, index }: Address,
    value: Value,
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = type ?? (await this.#typeOf(nodeId, signal));
    const scalar = variantOf(value, wanted, this.#place);
    // What goes into a range of an array is an array (OPC 10000-4, 7.27).
    const variant =
      index === undefined
        ? scalar
        : new Variant({
            dataType: scalar.dataType,
            arrayType: VariantArrayType.Array,
            value: [scalar.value],
          });
    const nodesToWrite = [
      new WriteValue({
        nodeId,
        attributeId: AttributeIds.Value,
        // Many servers refuse a write that sets times.
        value: new DataValue({ value: variant, sourceTimestamp: null, serverTimestamp: null }),
        ...(index === undefined ? {} : { indexRange: String(index) }),
      } as unknown as ConstructorParameters<typeof WriteValue>[0]),
    ];
    const { results } = await this.#send<WriteResponse>(new WriteRequest({ nodesToWrite }), signal).catch(
      (error: unknown) => {
        throw writeError(error);
      },
    );
    this.#accepted(results?.[0], "write");
  }

  async #typeOf(nodeId: NodeId, signal: AbortSignal): Promise<string> {
    const [data] = await this.#readNodes([nodeId], signal);
    const type = data?.value?.dataType ?? DataType.Null;
    if (type !== DataType.Null) return DataType[type];
    throw new DeviceError(
      "rejected",
      `${this.#place}: the type to write is not known; write it into the address`,
    );
  }

  async #callMethod(
    objectId: NodeId,
    { method = "", type }: Address,
    value: Value,
    signal: AbortSignal,
  ): Promise<void> {
    const methodId = await this.#methodOf(objectId, method, signal);
    const inputArguments: Variant[] = type === undefined ? [] : [variantOf(value, type, this.#place)];
    const methodsToCall = [new CallMethodRequest({ objectId, methodId, inputArguments })];
    const { results } = await this.#send<CallResponse>(new CallRequest({ methodsToCall }), signal).catch(
      (error: unknown) => {
        throw writeError(error);
      },
    );
    const wrong = results?.[0]?.inputArgumentResults?.find((one) => !one.isGoodish());
    this.#accepted(wrong ?? results?.[0]?.statusCode, method);
  }

  async #methodOf(objectId: NodeId, method: string, signal: AbortSignal): Promise<NodeId> {
    const nodes = this.#known().below(objectId);
    const [found] = await nodes.find([{ path: method, queue: 1 }], this.#send, signal);
    if (found !== undefined && "node" in found) return found.node;
    throw new DeviceError("rejected", `${this.#place}: ${found?.reason ?? method}`);
  }

  #accepted(status: { name: string; isGoodish(): boolean } | undefined, what: string): void {
    if (status?.isGoodish() === true) return;
    const name = status === undefined ? "no result" : statusName(status);
    throw new DeviceError(codeOfWrite(name), `${this.#place}: ${what}: ${name}`);
  }
}
