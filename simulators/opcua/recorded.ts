import {
  BrowsePathResult,
  CallRequest,
  CreateMonitoredItemsRequest,
  CreateSubscriptionRequest,
  CreateSubscriptionResponse,
  DataValue,
  DeleteSubscriptionsRequest,
  DeleteSubscriptionsResponse,
  PublishRequest,
  ReadRequest,
  ReadResponse,
  type ReadValueId,
  StatusCodes,
  TranslateBrowsePathsToNodeIdsRequest,
  TranslateBrowsePathsToNodeIdsResponse,
} from "node-opcua-client";
import { type Caller, fault, filled, listenInClear, type Request, type Response } from "./clear.ts";
import { Recording, type Said } from "./recording.ts";
import { RecordedSubscription } from "./recorded-subscription.ts";

/** A server that has what a recorded one told (`kerb profile test`, `kerb simulate --cassette`). */

/** Whoever has not subscribed by then does not. */
const subscribeMsMax = 5000;
const defaultKeepAliveCount = 10;
const publishesMax = 100;

interface RecordedOptions {
  readonly host: string;
  readonly port: number;
  /** Longest pause between two things that are told. */
  readonly gapMsMax: number;
  readonly log: (text: string) => void;
}

/** What all callers have in common. */
class Desk {
  readonly counts = { answered: 0, unknown: 0 };
  readonly messages: readonly Said[];
  readonly options: RecordedOptions;
  #busy = 0;
  #lastMs = performance.now() + subscribeMsMax;
  #ids = 0;

  constructor(messages: readonly Said[], options: RecordedOptions) {
    this.messages = messages;
    this.options = options;
  }

  id(): number {
    return ++this.#ids;
  }

  busy(by: 1 | -1): void {
    this.#busy += by;
    this.#lastMs = performance.now();
  }

  asked(): void {
    this.#lastMs = Math.max(this.#lastMs, performance.now());
  }

  quietMs(): number {
    return this.#busy > 0 ? 0 : Math.max(0, performance.now() - this.#lastMs);
  }

  unknown(what: string): void {
    this.counts.unknown++;
    this.options.log(`not on the tape: ${what}`);
  }
}

/** Starts the server. Rejects with the socket's error when the place is taken. */
export async function startRecorded(messages: readonly Said[], options: RecordedOptions) {
  const desk = new Desk(messages, options);
  const server = await listenInClear(options, () => new RecordedCaller(desk));
  return {
    place: { host: options.host, port: server.port },
    counts: desk.counts,
    quietMs: () => desk.quietMs(),
    close: () => server.close(),
  };
}

/** To each who connects the tape is told from its beginning. */
class RecordedCaller implements Caller {
  readonly #desk: Desk;
  #told: Recording | undefined;
  readonly #subscriptions = new Map<number, RecordedSubscription>();
  readonly #waiting: ((response: Response) => void)[] = [];

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  get #recording(): Recording {
    this.#told ??= new Recording(this.#desk.messages, this.#desk.options.log);
    return this.#told;
  }

  serve(request: Request, answer: (response: Response) => void): Response | undefined {
    if (request instanceof PublishRequest) return this.#publish(answer);
    this.#desk.asked();
    if (request instanceof DeleteSubscriptionsRequest) return this.#delete(request);
    const response = this.#answer(request);
    if (response === undefined) this.#desk.unknown(request.schema.name.replace(/Request$/, ""));
    else this.#desk.counts.answered++;
    return response ?? fault("BadServiceUnsupported");
  }

  gone(): void {
    for (const one of this.#subscriptions.values()) one.end();
    this.#subscriptions.clear();
  }

  #answer(request: Request): Response | undefined {
    const recording = this.#recording;
    const refusal = recording.refusal(request);
    if (refusal !== undefined) return refusal;
    if (request instanceof ReadRequest) return this.#read(request.nodesToRead ?? []);
    if (request instanceof TranslateBrowsePathsToNodeIdsRequest) return this.#paths(request);
    if (request instanceof CreateSubscriptionRequest) return this.#create(request);
    if (request instanceof CreateMonitoredItemsRequest)
      return (
        this.#subscriptions.get(request.subscriptionId)?.items(request) ?? fault("BadSubscriptionIdInvalid")
      );
    return request instanceof CallRequest ? recording.call(request.methodsToCall ?? []) : undefined;
  }

  #read(nodes: readonly ReadValueId[]): Response {
    const recording = this.#recording;
    const all = recording.read(nodes);
    const results = nodes.map((node, i) => {
      const value = all?.[i] ?? recording.value(node);
      if (value !== undefined) return recording.moved(value);
      this.#desk.unknown(String(node.nodeId));
      return new DataValue({ statusCode: StatusCodes.BadNodeIdUnknown });
    });
    return filled(new ReadResponse(), { results });
  }

  #paths({ browsePaths }: TranslateBrowsePathsToNodeIdsRequest): Response {
    const results = (browsePaths ?? []).map((path) => {
      const result = this.#recording.path(path);
      if (result !== undefined) return result;
      this.#desk.unknown(
        String(path.relativePath.elements?.map(({ targetName }) => targetName.name).join("/")),
      );
      return new BrowsePathResult({ statusCode: StatusCodes.BadNoMatch, targets: [] });
    });
    return filled(new TranslateBrowsePathsToNodeIdsResponse(), { results });
  }

  #create(request: CreateSubscriptionRequest): Response {
    const made = this.#recording.subscription;
    const response = new CreateSubscriptionResponse({
      subscriptionId: this.#desk.id(),
      revisedPublishingInterval: made?.revisedPublishingInterval ?? request.requestedPublishingInterval,
      revisedLifetimeCount: made?.revisedLifetimeCount ?? request.requestedLifetimeCount,
      revisedMaxKeepAliveCount:
        made?.revisedMaxKeepAliveCount ?? (request.requestedMaxKeepAliveCount || defaultKeepAliveCount),
    });
    const subscription = new RecordedSubscription(response, this.#recording, this.#desk, () =>
      this.#waiting.shift(),
    );
    this.#subscriptions.set(response.subscriptionId, subscription);
    return response;
  }

  #publish(answer: (response: Response) => void): Response | undefined {
    if (this.#subscriptions.size === 0) return fault("BadNoSubscription");
    if (this.#waiting.length >= publishesMax) return fault("BadTooManyPublishRequests");
    this.#waiting.push(answer);
    for (const one of this.#subscriptions.values()) one.asked();
    return undefined;
  }

  #delete({ subscriptionIds }: DeleteSubscriptionsRequest): Response {
    const results = (subscriptionIds ?? []).map((id) => {
      const one = this.#subscriptions.get(id);
      one?.end();
      this.#subscriptions.delete(id);
      return one === undefined ? StatusCodes.BadSubscriptionIdInvalid : StatusCodes.Good;
    });
    return new DeleteSubscriptionsResponse({ results });
  }
}
