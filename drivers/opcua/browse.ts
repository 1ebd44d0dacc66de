import { DeviceError, type Browsed, type BrowseRequest, type LeftOut } from "../../gateway/driver.ts";
import { describe, type Asked, type Readable } from "./browsed.ts";
import { statusName } from "./failures.ts";
import {
  AttributeIds,
  BrowseDescription,
  BrowseDirection,
  BrowseNextRequest,
  BrowseRequest as BrowseNodesRequest,
  coerceNodeId,
  DataValue,
  NodeId,
  ReadRequest,
  ReadValueId,
  StatusCodes,
  TimestampsToReturn,
  type BrowseNextResponse,
  type BrowseResponse,
  type BrowseResult,
  type QualifiedName,
  type ReadResponse,
  type ReferenceDescription,
} from "./library.ts";
import type { Nodes, Send } from "./nodes.ts";
import { Pieces } from "./pieces.ts";
import { cut, nodeClasses, textLengthMax, type Place } from "./place.ts";

/** Lists what a server has (OPC 10000-4, 5.9.2 and 5.9.3), level by level. */

/** What one step looks into, and what one request asks for where the server would take more. */
const nodesPerStep = 50;
const readsPerRequest = 500;
const referencesPerNode = 1000;
/** Nodes that are remembered, so that a circle ends and a server without an end does as well. */
const nodesMax = 100_000;
/** Answers without a single reference that are put up with before a node is given up. */
const emptyPagesMax = 10;
/** A value that the server has got within this time is fresh enough to be shown. */
const maxAgeMs = 10_000;
const refusedShown = 20;

const standard = {
  hierarchical: "i=33",
  hasProperty: 46,
  nodesPerRead: "i=11705",
  nodesPerBrowse: "i=11710",
} as const;
/** Server and Aliases, which every server has: the one about itself, the other for looking up names. */
const standardNodes = ["i=2253", "i=23470"].map((text) => ({ text, node: coerceNodeId(text) }));
/** Object, Variable, Method. */
const wantedClasses = nodeClasses.object | nodeClasses.variable | nodeClasses.method;
/** Properties that say what their variable or method means; they are told with it. */
const meanings = new Set([
  "EURange",
  "InstrumentRange",
  "EngineeringUnits",
  "EnumStrings",
  "EnumValues",
  "TrueState",
  "FalseState",
  "ValuePrecision",
  "Definition",
  "InputArguments",
  "OutputArguments",
]);

/** What a listing needs of its connection. */
export interface BrowseOptions {
  readonly place: string;
  readonly nodes: Nodes;
  readonly send: Send;
  readonly request: BrowseRequest;
}

/** Lists what a server has; what was left out comes last. Rejects with `DeviceError`. */
export function browse(options: BrowseOptions): AsyncIterable<Browsed | LeftOut> {
  return new Walk(options).run();
}

class Walk {
  readonly #place: string;
  readonly #nodes: Nodes;
  readonly #send: Send;
  readonly #request: BrowseRequest;
  readonly #seen = new Set<string>();
  readonly #left = new Map<LeftOut["left"], LeftOut>();
  /** What was left out and is named one by one. */
  readonly #named: LeftOut[] = [];
  readonly #types: Asked["types"] = new Map();
  #queue: Place[] = [];
  #browsing = new Pieces(nodesPerStep);
  #reading = new Pieces(readsPerRequest);
  #isOver: "time" | "bound" | undefined;

  constructor({ place, nodes, send, request }: BrowseOptions) {
    this.#place = place;
    this.#nodes = nodes;
    this.#send = send;
    this.#request = request;
  }

  async *run(): AsyncGenerator<Browsed | LeftOut> {
    const { entriesMax, untilMs } = this.#request;
    await this.#learnLimits();
    this.#queue.push(await this.#begin());
    let entries = 0;
    while (this.#queue.length > 0 && this.#isOver === undefined) {
      if (performance.now() >= untilMs) this.#isOver = "time";
      if (this.#isOver !== undefined || entries >= entriesMax) break;
      const step = this.#queue.splice(0, nodesPerStep);
      const below = await this.#below(step);
      const readables: Readable[] = [];
      step.forEach((place, i) => {
        const meaning = this.#enqueue(place, below[i] ?? []);
        if (place.nodeClass !== nodeClasses.object) readables.push({ place, meaning });
      });
      const shown = readables.slice(0, entriesMax - entries);
      if (shown.length < readables.length) this.#leave("limit", { entries: readables.length - shown.length });
      const told = await this.#describe(shown);
      // A structure is told with its members.
      const fitting = told.slice(0, entriesMax - entries);
      if (fitting.length < told.length) this.#leave("limit", { entries: told.length - fitting.length });
      entries += fitting.length;
      yield* fitting;
    }
    const rest = this.#queue.filter(({ nodeClass }) => nodeClass !== nodeClasses.object).length;
    if (this.#queue.length > 0)
      this.#leave(this.#isOver ?? "limit", { entries: rest, branches: this.#queue.length - rest });
    yield* this.#left.values();
    yield* this.#named;
  }

  async #learnLimits(): Promise<void> {
    const ids = [standard.nodesPerBrowse, standard.nodesPerRead];
    const answers = await this.#read(
      ids.map((id) => new ReadValueId({ nodeId: coerceNodeId(id), attributeId: AttributeIds.Value })),
    );
    const [browses = 0, reads = 0] = answers.map(({ value }) => Number(value?.value ?? 0));
    // 0: the server knows no limit.
    if (browses > 0) this.#browsing = new Pieces(Math.min(browses, nodesPerStep));
    if (reads > 0) this.#reading = new Pieces(Math.min(reads, readsPerRequest));
  }

  async #begin(): Promise<Place> {
    const { under, signal } = this.#request;
    const found = await this.#nodes.start(under, this.#send, signal);
    if ("code" in found)
      throw new DeviceError("rejected", `${this.#place}: ${under ?? "the root"}: ${found.reason}`);
    const { node } = found;
    const attributes = [AttributeIds.NodeClass, AttributeIds.BrowseName];
    const [kind, name] = await this.#read(
      attributes.map((attributeId) => new ReadValueId({ nodeId: node, attributeId })),
    );
    const nodeClass = Number(kind?.value?.value ?? 0);
    if (kind === undefined || kind.statusCode.value >>> 31 === 1 || nodeClass === 0) {
      const code = kind === undefined ? "no answer" : statusName(kind.statusCode);
      throw new DeviceError("rejected", `${this.#place}: ${under ?? node.toString()}: ${code}`);
    }
    this.#seen.add(node.toString());
    // What only has other nodes below it is no entry itself.
    const isEntry = nodeClass === nodeClasses.variable || nodeClass === nodeClasses.method;
    const own = cut((name?.value?.value as QualifiedName | undefined)?.name ?? "");
    const isPath = under === undefined || !/^(ns=\d+;|nsu=[^;]+;)?[isgb]=/.test(under);
    return {
      node,
      nodeClass: isEntry ? nodeClass : nodeClasses.object,
      parent: undefined,
      path: isEntry ? [own] : [],
      words: isPath ? { path: under ?? "", namespaces: {} } : undefined,
      label: own,
      depth: 0,
    };
  }

  /** Puts what hangs below a node into the queue; gives back the properties that say what the node means. */
  #enqueue(place: Place, references: readonly ReferenceDescription[]): Readable["meaning"] {
    const meaning: Record<string, NodeId> = {};
    let tooDeep = 0;
    for (const reference of references) {
      const node = this.#local(reference);
      if (node === undefined) {
        this.#leave("elsewhere", { branches: 1 });
        continue;
      }
      const { name } = reference.browseName;
      const isMeaning =
        place.nodeClass !== nodeClasses.object &&
        reference.referenceTypeId.namespace === 0 &&
        reference.referenceTypeId.value === standard.hasProperty &&
        reference.browseName.namespaceIndex === 0 &&
        meanings.has(name ?? "");
      if (isMeaning) {
        meaning[name ?? ""] = node;
        continue;
      }
      const id = node.toString();
      if (this.#seen.has(id)) continue;
      const own = standardNodes.find((one) => one.node.toString() === id);
      if (own !== undefined) {
        this.#seen.add(id);
        this.#named.push({ left: "standard", branches: 1, place: own.text });
        continue;
      }
      if (place.depth >= this.#request.depthMax) tooDeep++;
      else if (this.#seen.size >= nodesMax) this.#leave("bound", { branches: 1 });
      else {
        this.#seen.add(id);
        this.#queue.push(this.#placeOf(reference, node, place));
      }
    }
    if (tooDeep > 0) this.#leave("depth", { branches: tooDeep });
    return meaning;
  }

  #placeOf({ nodeClass, browseName, displayName }: ReferenceDescription, node: NodeId, above: Place): Place {
    const kind: number = nodeClass;
    const word = this.#nodes.wordOf(browseName);
    const words =
      word === undefined || above.words === undefined
        ? undefined
        : {
            path: above.words.path === "" ? word.text : `${above.words.path}/${word.text}`,
            namespaces: { ...above.words.namespaces, ...word.namespaces },
          };
    return {
      node,
      nodeClass: kind,
      parent: above.node,
      path: [...above.path, cut(browseName.name ?? "")],
      words: words !== undefined && words.path.length > textLengthMax ? undefined : words,
      method: kind === nodeClasses.method ? word : undefined,
      label: cut(displayName?.text ?? ""),
      depth: above.depth + 1,
    };
  }

  /** The node of a reference as this server numbers it; undefined where it is on another server. */
  #local({ nodeId }: ReferenceDescription): NodeId | undefined {
    if (nodeId.serverIndex > 0) return undefined;
    const { namespaceUri, namespace, identifierType, value } = nodeId;
    if (namespaceUri === null || namespaceUri === undefined || namespaceUri === "")
      return new NodeId(identifierType, value, namespace);
    const found = this.#nodes.byId(
      `nsu=${namespaceUri};${nodeId.toString().replace(/^.*?;(?=[isgb]=)/, "")}`,
    );
    return "node" in found ? found.node : undefined;
  }

  /** The references of each node, forwards and hierarchical. */
  async #below(step: readonly Place[]): Promise<ReferenceDescription[][]> {
    const found: ReferenceDescription[][] = step.map(() => []);
    const again: number[] = [];
    const indexes = step.map((_, i) => i);
    await this.#browsing.ask(
      indexes,
      async (group) => this.#browseGroup(step, group, found, again),
      () => {},
    );
    // A server keeps few places to go on from: the others are asked for alone, when these are free again.
    for (const i of again) {
      const still: number[] = [];
      await this.#browseGroup(step, [i], found, still);
      if (still.length > 0) this.#refuse(step[i], "BadNoContinuationPoints");
    }
    return found;
  }

  async #browseGroup(
    step: readonly Place[],
    group: readonly number[],
    found: ReferenceDescription[][],
    again: number[],
  ): Promise<void[]> {
    if (this.#isOver !== undefined) {
      this.#leave(this.#isOver, { branches: group.length });
      return group.map(() => {});
    }
    const { signal } = this.#request;
    const nodesToBrowse = group.map(
      (i) =>
        new BrowseDescription({
          nodeId: step[i]!.node,
          browseDirection: BrowseDirection.Forward,
          referenceTypeId: coerceNodeId(standard.hierarchical),
          includeSubtypes: true,
          nodeClassMask: wantedClasses,
          resultMask: 63,
        }),
    );
    const request = new BrowseNodesRequest({
      requestedMaxReferencesPerNode: referencesPerNode,
      nodesToBrowse,
    });
    const { results } = await this.#send<BrowseResponse>(request, signal);
    let open = this.#taken(group, results, found, step, again);
    let emptyPages = 0;
    while (open.length > 0) {
      if (performance.now() >= this.#request.untilMs) this.#isOver = "time";
      if (this.#seen.size + found.reduce((sum, { length }) => sum + length, 0) > nodesMax)
        this.#isOver ??= "bound";
      const continuationPoints = open.map(({ point }) => point);
      if (this.#isOver !== undefined || emptyPages > emptyPagesMax) {
        await this.#release(continuationPoints, open, step);
        break;
      }
      const before = found.reduce((sum, { length }) => sum + length, 0);
      const next = new BrowseNextRequest({ releaseContinuationPoints: false, continuationPoints });
      const { results: more } = await this.#send<BrowseNextResponse>(next, signal);
      const asked = open.map(({ index }) => index);
      open = this.#taken(asked, more, found, step, []);
      emptyPages = found.reduce((sum, { length }) => sum + length, 0) > before ? 0 : emptyPages + 1;
    }
    return group.map(() => {});
  }

  /** Tells the server that it need keep nothing for us. */
  async #release(
    continuationPoints: Buffer[],
    open: readonly { index: number }[],
    step: readonly Place[],
  ): Promise<void> {
    const request = new BrowseNextRequest({ releaseContinuationPoints: true, continuationPoints });
    await this.#send<BrowseNextResponse>(request, this.#request.signal);
    if (this.#isOver === undefined)
      for (const { index } of open) this.#refuse(step[index], "pages without end");
    else this.#leave(this.#isOver, { branches: open.length });
  }

  /** Takes over what came; gives back where more is to come from. */
  #taken(
    asked: readonly number[],
    results: readonly BrowseResult[] | null,
    found: ReferenceDescription[][],
    step: readonly Place[],
    again: number[],
  ): { index: number; point: Buffer }[] {
    if (results?.length !== asked.length)
      throw new DeviceError(
        "garbage",
        `${this.#place}: ${asked.length} nodes browsed, ${results?.length ?? 0} answered`,
      );
    const open: { index: number; point: Buffer }[] = [];
    results.forEach(({ statusCode, references, continuationPoint }, k) => {
      const index = asked[k] ?? 0;
      const code = statusName(statusCode);
      if (code === "BadNoContinuationPoints" && found[index]?.length === 0) again.push(index);
      else if (statusCode.value >>> 31 === 1) this.#refuse(step[index], code);
      else {
        found[index]?.push(...(references ?? []));
        if (continuationPoint !== null && continuationPoint.length > 0)
          open.push({ index, point: continuationPoint });
      }
    });
    return open;
  }

  async #describe(shown: readonly Readable[]): Promise<Browsed[]> {
    if (shown.length === 0) return [];
    // The library takes a range as text, though its types do not say so.
    const read: Asked["read"] = (wanted) => this.#read(wanted.map((one) => new ReadValueId(one as object)));
    return describe(shown, { nodes: this.#nodes, types: this.#types, read });
  }

  async #read(nodesToRead: readonly ReadValueId[]): Promise<DataValue[]> {
    return this.#reading.ask(
      nodesToRead,
      async (group) => {
        const request = new ReadRequest({
          maxAge: maxAgeMs,
          timestampsToReturn: TimestampsToReturn.Both,
          nodesToRead: [...group],
        });
        const { results } = await this.#send<ReadResponse>(request, this.#request.signal);
        if (results?.length === group.length) return results;
        throw new DeviceError(
          "garbage",
          `${this.#place}: ${group.length} attributes asked, ${results?.length ?? 0} answered`,
        );
      },
      (code) => new DataValue({ statusCode: StatusCodes[code as "BadResponseTooLarge"] }),
    );
  }

  #leave(left: LeftOut["left"], { entries = 0, branches = 0 }: Pick<LeftOut, "entries" | "branches">): void {
    const before = this.#left.get(left);
    this.#left.set(left, {
      left,
      entries: entries + (before?.entries ?? 0),
      branches: branches + (before?.branches ?? 0),
    });
  }

  #refuse(at: Place | undefined, reason: string): void {
    if (at === undefined) return;
    // A server may refuse everything that it has.
    const refused = this.#named.filter(({ left }) => left === "refused");
    if (refused.length >= refusedShown) return this.#leave("refused", { branches: 1 });
    const place = this.#nodes.textOf(at.node);
    this.#named.push({ left: "refused", branches: 1, reason, ...(place === undefined ? {} : { place }) });
  }
}
