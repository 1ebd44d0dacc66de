import {
  CreateMonitoredItemsRequest,
  CreateMonitoredItemsResponse,
  CreateSubscriptionResponse,
  DataChangeNotification,
  DataValue,
  EventFilter,
  EventNotificationList,
  PublishResponse,
  ReadRequest,
  ReadResponse,
  RepublishResponse,
  TranslateBrowsePathsToNodeIdsRequest,
  TranslateBrowsePathsToNodeIdsResponse,
  CallRequest,
  type BrowsePath,
  type BrowsePathResult,
  type CallMethodRequest,
  type EventFieldList,
  type MonitoredItemCreateRequest,
  type MonitoredItemCreateResult,
  type ReadValueId,
} from "node-opcua-client";
import { messageOf, type Request, type Response } from "./clear.ts";

/** What a recorded server has told, by what it was asked. */

/** A message that was said, in its order. */
export interface Said {
  /** Since the recording began. */
  readonly ms: number;
  readonly from: "kerb" | "device";
  readonly bytes: Buffer;
}

/** Something that was told at a time; `key` is of the item that tells it. */
export interface Told {
  readonly ms: number;
  readonly key: string;
  readonly what: { data: DataValue } | { event: EventFieldList; names: readonly string[] };
}

/** What was told one after the other to the same question; the last of it stays. */
class Sequence<Item> {
  readonly #items: Item[] = [];
  #next = 0;

  push(item: Item): void {
    this.#items.push(item);
  }

  next(): Item | undefined {
    const item = this.#items[this.#next];
    if (this.#next < this.#items.length - 1) this.#next++;
    return item;
  }
}

function add<Item>(map: Map<string, Sequence<Item>>, key: string, item: Item): void {
  const sequence = map.get(key) ?? new Sequence<Item>();
  map.set(key, sequence);
  sequence.push(item);
}

type Place = Pick<ReadValueId, "nodeId" | "attributeId" | "indexRange">;
/** One attribute of one node. */
const placeOf = ({ nodeId, attributeId, indexRange }: Place): string =>
  JSON.stringify([String(nodeId), attributeId, indexRange ?? ""]);

const pathOf = ({ startingNode, relativePath }: BrowsePath): string =>
  JSON.stringify([
    String(startingNode),
    ...(relativePath.elements ?? []).map(({ targetName }) => [targetName.namespaceIndex, targetName.name]),
  ]);

const methodOf = ({ objectId, methodId }: CallMethodRequest): string =>
  JSON.stringify([String(objectId), String(methodId)]);

/** By which names an item's events tell their fields. */
export function namesOf({ requestedParameters: { filter } }: MonitoredItemCreateRequest): string[] {
  if (!(filter instanceof EventFilter)) return [];
  return (filter.selectClauses ?? []).map(({ browsePath }) =>
    JSON.stringify((browsePath ?? []).map(({ namespaceIndex, name }) => [namespaceIndex, name])),
  );
}

/** Gives items keys: what is watched, of which events, and how many have watched the same before. */
export class Keys {
  readonly #byHandle = new Map<number, string>();
  readonly #counts = new Map<string, number>();

  keyOf({
    itemToMonitor,
    requestedParameters: { clientHandle, filter },
  }: MonitoredItemCreateRequest): string {
    // Asked for once more, without what was refused.
    const known = this.#byHandle.get(clientHandle);
    if (known !== undefined) return known;
    const events = filter instanceof EventFilter ? String(filter.whereClause) : "";
    const what = `${placeOf(itemToMonitor)} ${events}`;
    const count = this.#counts.get(what) ?? 0;
    this.#counts.set(what, count + 1);
    const key = `${what} ${count}`;
    this.#byHandle.set(clientHandle, key);
    return key;
  }

  of(clientHandle: number): string | undefined {
    return this.#byHandle.get(clientHandle);
  }
}

/** Pairs of what was asked and answered, and what came by itself. */
export class Recording {
  readonly told: Told[] = [];
  /** What is added to recorded times, so that the last of them is now. */
  readonly #shiftMs: number;
  readonly #reads = new Map<string, Sequence<ReadResponse>>();
  readonly #values = new Map<string, Sequence<DataValue>>();
  readonly #paths = new Map<string, Sequence<BrowsePathResult>>();
  readonly #calls = new Map<string, Sequence<Response>>();
  readonly #items = new Map<string, MonitoredItemCreateResult>();
  readonly #refusals = new Map<string, Sequence<Response>>();
  subscription: CreateSubscriptionResponse | undefined;
  #keys = new Keys();
  readonly #names = new Map<string, readonly string[]>();

  /** `log` is told of what is no message; it is left out. */
  constructor(messages: readonly Said[], log: (text: string) => void) {
    let asked: Request | undefined;
    let beganMs: number | undefined;
    for (const [i, { ms, from, bytes }] of messages.entries()) {
      if (from === "kerb") asked = undefined;
      try {
        const message = messageOf(bytes);
        if (from === "kerb") asked = message as Request;
        else {
          this.#heard(ms, asked, message as Response);
          beganMs ??= timeIn(message as Response, ms);
        }
      } catch (error) {
        log(`frame ${i + 1} is no message of OPC UA: ${String(error)}`);
      }
    }
    const endMs = messages.at(-1)?.ms ?? 0;
    this.#shiftMs = beganMs === undefined ? 0 : Date.now() - beganMs - endMs;
  }

  #heard(ms: number, asked: Request | undefined, response: Response): void {
    if (!this.#news(ms, response) && asked !== undefined) this.#answered(asked, response);
  }

  #answered(asked: Request, response: Response): void {
    if (response.schema.name === "ServiceFault") add(this.#refusals, kindOf(asked), response);
    else if (asked instanceof ReadRequest && response instanceof ReadResponse) {
      const nodes = asked.nodesToRead ?? [];
      add(this.#reads, listOf(nodes), response);
      nodes.forEach((one, i) => {
        const value = response.results?.[i];
        if (value !== undefined) add(this.#values, placeOf(one), value);
      });
    } else if (
      asked instanceof TranslateBrowsePathsToNodeIdsRequest &&
      response instanceof TranslateBrowsePathsToNodeIdsResponse
    )
      asked.browsePaths?.forEach((one, i) => {
        const result = response.results?.[i];
        if (result !== undefined) add(this.#paths, pathOf(one), result);
      });
    else if (response instanceof CreateSubscriptionResponse) {
      this.subscription = response;
      this.#keys = new Keys();
    } else if (
      asked instanceof CreateMonitoredItemsRequest &&
      response instanceof CreateMonitoredItemsResponse
    )
      asked.itemsToCreate?.forEach((one, i) => this.#item(one, response.results?.[i]));
    else if (asked instanceof CallRequest)
      add(this.#calls, JSON.stringify(asked.methodsToCall?.map(methodOf)), response);
  }

  #item(wanted: MonitoredItemCreateRequest, result: MonitoredItemCreateResult | undefined): void {
    const key = this.#keys.keyOf(wanted);
    if (result !== undefined) this.#items.set(key, result);
    this.#names.set(key, namesOf(wanted));
  }

  /** Is it something that came by itself? */
  #news(ms: number, response: Response): boolean {
    if (!(response instanceof PublishResponse || response instanceof RepublishResponse)) return false;
    for (const part of response.notificationMessage.notificationData ?? []) {
      if (part instanceof DataChangeNotification)
        for (const { clientHandle, value } of part.monitoredItems ?? [])
          this.#tell(ms, clientHandle, { data: value });
      if (part instanceof EventNotificationList)
        for (const event of part.events ?? []) {
          const names = this.#names.get(this.#keys.of(event.clientHandle) ?? "") ?? [];
          this.#tell(ms, event.clientHandle, { event, names });
        }
    }
    return true;
  }

  #tell(ms: number, clientHandle: number, what: Told["what"]): void {
    const key = this.#keys.of(clientHandle);
    if (key === undefined) return;
    this.told.push({ ms, key, what });
  }

  /** The value with its times moved to those of now. */
  moved(value: DataValue): DataValue {
    const moved = Object.assign(new DataValue(), value);
    for (const name of ["sourceTimestamp", "serverTimestamp"] as const)
      moved[name] &&= this.movedTime(moved[name]);
    return moved;
  }

  movedTime(time: Date): Date {
    return new Date(time.getTime() + this.#shiftMs);
  }

  /** How the same was refused; undefined: it was not. */
  refusal(asked: Request): Response | undefined {
    return this.#refusals.get(kindOf(asked))?.next();
  }

  /** The answer to the same list of nodes. */
  read(nodes: readonly ReadValueId[]): readonly DataValue[] | undefined {
    return this.#reads.get(listOf(nodes))?.next()?.results ?? undefined;
  }

  /** What one node has told, by whatever list it was asked, or what it told last by itself. */
  value(node: Place): DataValue | undefined {
    const place = placeOf(node);
    const read = this.#values.get(place)?.next();
    if (read !== undefined) return read;
    const what = this.told.findLast(({ key }) => key === `${place}  0`)?.what;
    return what !== undefined && "data" in what ? what.data : undefined;
  }

  path(path: BrowsePath): BrowsePathResult | undefined {
    return this.#paths.get(pathOf(path))?.next();
  }

  call(methods: readonly CallMethodRequest[]): Response | undefined {
    return this.#calls.get(JSON.stringify(methods.map(methodOf)))?.next();
  }

  /** What was made of an item with this key. */
  item(key: string): MonitoredItemCreateResult | undefined {
    return this.#items.get(key);
  }
}

/** What was refused: a read of these nodes, or any such request. */
const kindOf = (asked: Request): string =>
  asked instanceof ReadRequest ? `Read ${listOf(asked.nodesToRead ?? [])}` : asked.schema.name;

const listOf = (nodes: readonly ReadValueId[]): string => nodes.map(placeOf).join();

/** When the recording began by the server's clock. */
function timeIn(response: Response, ms: number): number | undefined {
  if (!(response instanceof ReadResponse)) return undefined;
  const timeMs = response.results?.find(({ serverTimestamp }) => serverTimestamp)?.serverTimestamp?.getTime();
  return timeMs === undefined ? undefined : timeMs - ms;
}
