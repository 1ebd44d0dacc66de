import type { Channel } from "./channel.ts";
import { statusName } from "./failures.ts";
import {
  BrowsePath,
  coerceNodeId,
  QualifiedName,
  RelativePath,
  RelativePathElement,
  TranslateBrowsePathsToNodeIdsRequest,
  type NodeId,
  type TranslateBrowsePathsToNodeIdsResponse,
} from "./library.ts";
import type { Address, Settings } from "./settings.ts";

/** Sends a request in the session. */
export type Send = <Response>(
  request: Parameters<Channel["request"]>[0],
  signal: AbortSignal,
) => Promise<Response>;

/** A node, or why there is none: a status name or a code of ours. */
export type Found = { node: NodeId } | { code: string; reason: string };

/** HierarchicalReferences: what a browse path follows. */
const hierarchical = "ns=0;i=33";
const pathsPerRequest = 100;

const textLengthMax = 1000;
/** What the setting `node` of an address takes. */
const nodeWords = /^(nsu=[^;]+;)?(i=\d+|s=.+|g=[0-9a-fA-F-]{36}|b=[A-Za-z0-9+/=]+)$/;
/** Letters of the kinds of node ids, by the library's numbers for these. */
const kinds: Record<number, string> = { 1: "i", 2: "s", 3: "g", 4: "b" };

/** How much the server takes in one request. */
export interface Limits {
  readonly paths: number;
  readonly items: number;
}
const noLimits: Limits = { paths: Infinity, items: Infinity };

/**
 * Node ids and browse paths of addresses as this server numbers them now: a namespace has an index that may change
 * whenever the server starts, so what is found here holds for one connection.
 */
export class Nodes {
  readonly #settings: Pick<Settings, "root" | "namespaces" | "names">;
  readonly limits: Limits;
  readonly #namespaces: readonly string[];
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #byPath = new Map<string, NodeId>();
  readonly #root: Found;

  constructor(
    settings: Pick<Settings, "root" | "namespaces" | "names">,
    namespaces: readonly string[],
    { root, limits = noLimits }: { root?: NodeId; limits?: Limits } = {},
  ) {
    this.#settings = settings;
    this.limits = limits;
    this.#namespaces = namespaces;
    // Of equal names the first counts.
    this.#indexes = new Map(namespaces.map((uri, index) => [uri, index] as const).toReversed());
    this.#root = root === undefined ? this.byId(settings.root) : { node: root };
  }

  /** The same names, with paths that begin at another node. */
  below(root: NodeId): Nodes {
    return new Nodes(this.#settings, this.#namespaces, { root, limits: this.limits });
  }

  /** A node id with the namespace's URI as this server numbers it. */
  byId(text: string): Found {
    const [, uri, rest = text] = /^nsu=([^;]+);(.*)$/s.exec(text) ?? [];
    const index = uri === undefined ? 0 : this.#indexes.get(uri);
    if (index === undefined) return unknownNamespace(uri ?? "");
    try {
      return { node: coerceNodeId(`ns=${index};${rest}`) };
    } catch {
      return { code: "BadNodeIdInvalid", reason: `${text} is no node id` };
    }
  }

  /** A node's id in the words of an address; undefined where these cannot say it. */
  textOf({ namespace, identifierType, value }: NodeId): string | undefined {
    const uri = this.#namespaces[namespace];
    if (uri === undefined) return undefined;
    const id = Buffer.isBuffer(value) ? value.toString("base64") : String(value);
    const text = `${namespace === 0 ? "" : `nsu=${uri};`}${kinds[identifierType] ?? "?"}=${id}`;
    if (text.length > textLengthMax || !nodeWords.test(text)) return undefined;
    const found = this.byId(text);
    // A URI with ";", two namespaces of one name, a text that looks like something else.
    const isSame =
      "node" in found &&
      found.node.namespace === namespace &&
      found.node.identifierType === identifierType &&
      String(found.node.value) === String(value);
    return isSame ? text : undefined;
  }

  /**
   * A browse name in the words of a path, and the prefix that these need where the settings have none for its
   * namespace; undefined where a path cannot say it.
   */
  wordOf({
    namespaceIndex,
    name,
  }: QualifiedName): { text: string; namespaces: Record<string, string> } | undefined {
    if (name === null || name === "" || /[/{}]/.test(name)) return undefined;
    if (namespaceIndex === 0) return /^[a-zA-Z]\w*:./.test(name) ? undefined : { text: name, namespaces: {} };
    const uri = this.#namespaces[namespaceIndex];
    if (uri === undefined || this.#indexes.get(uri) !== namespaceIndex) return undefined;
    const own = Object.entries(this.#settings.namespaces).find(([, one]) => one === uri)?.[0];
    const prefix = own ?? this.#inventedPrefix(uri);
    return { text: `${prefix}:${name}`, namespaces: own === undefined ? { [prefix]: uri } : {} };
  }

  /** "http://opcfoundation.org/UA/DI/" is "DI"; the same for the same namespace. */
  #inventedPrefix(uri: string): string {
    const last = uri.split(/[/:]/).findLast((part) => /^[a-zA-Z]\w*$/.test(part)) ?? "ns";
    const taken = Object.keys(this.#settings.namespaces);
    const others = this.#namespaces.filter((one) => one !== uri && one.includes(last));
    return others.length > 0 || taken.includes(last) ? `${last}${this.#indexes.get(uri) ?? ""}` : last;
  }

  /** Where a listing begins: a node's id, a path, or the root. */
  async start(text: string | undefined, send: Send, signal: AbortSignal): Promise<Found> {
    if (text === undefined) return this.#root;
    if (/^ns=\d+;/.test(text)) {
      // As it was copied from another tool: good for now, though not for a profile.
      try {
        return { node: coerceNodeId(text) };
      } catch {
        return { code: "BadNodeIdInvalid", reason: `${text} is no node id` };
      }
    }
    if (/^(nsu=[^;]+;)?[isgb]=/.test(text)) return this.byId(text);
    const [found] = await this.find([{ path: text, queue: 1 }], send, signal);
    return found ?? { code: "BadNoMatch", reason: `there is no ${text}` };
  }

  /** "di:Manufacturer" with the namespace's index; without a prefix it is one of the standard's own names. */
  name(text: string): QualifiedName | { code: string; reason: string } {
    const [, prefix, rest = text] = /^([a-zA-Z]\w*):(.+)$/s.exec(text) ?? [];
    const uri = prefix === undefined ? undefined : this.#settings.namespaces[prefix];
    if (prefix === undefined) return new QualifiedName({ namespaceIndex: 0, name: text });
    if (uri === undefined)
      return { code: "unknown-prefix", reason: `the setting namespaces has no "${prefix}"` };
    const index = this.#indexes.get(uri);
    return index === undefined
      ? unknownNamespace(uri)
      : new QualifiedName({ namespaceIndex: index, name: rest });
  }

  /** Names of a path in their order, with the site's own names put in. */
  names(path: string): QualifiedName[] | { code: string; reason: string } {
    const names: QualifiedName[] = [];
    const missing = [...path.matchAll(/\{(\w+)\}/g)].find(
      ([, key = ""]) => this.#settings.names[key] === undefined,
    )?.[1];
    if (missing !== undefined)
      return { code: "unknown-name", reason: `the setting names has no "${missing}"` };
    const full = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => this.#settings.names[key] ?? "");
    for (const part of full.split("/")) {
      const name = this.name(part);
      if ("code" in name) return name;
      names.push(name);
    }
    return names;
  }

  /** The nodes of addresses; paths that are not known yet are asked for, all in one go. */
  async find(addresses: readonly Address[], send: Send, signal: AbortSignal): Promise<Found[]> {
    const found = new Map<string, Found>();
    const asked: { path: string; names: QualifiedName[] }[] = [];
    for (const { path } of addresses) {
      if (path === undefined || found.has(path)) continue;
      const known = this.#byPath.get(path);
      const names = this.names(path);
      if (known !== undefined) found.set(path, { node: known });
      else if ("code" in names) found.set(path, names);
      else {
        asked.push({ path, names });
        found.set(path, { code: "BadNoMatch", reason: `there is no ${path}` });
      }
    }
    const root = this.#root;
    const step = Math.min(pathsPerRequest, this.limits.paths);
    for (let at = 0; at < asked.length; at += step) {
      const group = asked.slice(at, at + step);
      if ("code" in root) {
        for (const { path } of group) found.set(path, root);
        continue;
      }
      const browsePaths = group.map(({ names }) => browsePath(root.node, names));
      const request = new TranslateBrowsePathsToNodeIdsRequest({ browsePaths });
      const { results } = await send<TranslateBrowsePathsToNodeIdsResponse>(request, signal);
      group.forEach(({ path }, i) => {
        const result = results?.[i];
        const node = result?.targets?.[0]?.targetId;
        if (node !== undefined && result !== undefined && result.statusCode.isGoodish()) {
          this.#byPath.set(path, node);
          found.set(path, { node });
        } else if (result !== undefined && !result.statusCode.isGoodish()) {
          found.set(path, { code: statusName(result.statusCode), reason: `no ${path} below the root` });
        }
      });
    }
    return addresses.map(({ node, path }) => {
      if (path !== undefined) return found.get(path) ?? { code: "BadNoMatch", reason: `there is no ${path}` };
      return node === undefined ? { code: "no-node", reason: "only an event has it" } : this.byId(node);
    });
  }
}

function unknownNamespace(uri: string): { code: string; reason: string } {
  return { code: "unknown-namespace", reason: `the server has no namespace ${uri}` };
}

function browsePath(startingNode: NodeId, names: readonly QualifiedName[]): BrowsePath {
  return new BrowsePath({
    startingNode,
    relativePath: new RelativePath({
      elements: names.map(
        (targetName) =>
          new RelativePathElement({
            referenceTypeId: coerceNodeId(hierarchical),
            isInverse: false,
            includeSubtypes: true,
            targetName,
          }),
      ),
    }),
  });
}
