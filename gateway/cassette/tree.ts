import type { Fit } from "./matching.ts";
import type { Bytes, Turn } from "./turns.ts";

/**
 * Datagrams that are a tree of tag, length and value (X.690, as SNMP has them): a number of a request may have
 * another length than the recorded one, so that places are ways in the tree and not offsets.
 */

interface Node {
  tag: number;
  /** Of the value. */
  start: number;
  end: number;
  children: Node[] | undefined;
}

const depthMax = 12;
const integer = 0x02;
const octets = 0x04;
/** A number that counts requests is larger than what stands for a version or an error. */
const constantMax = 255;

/** The nodes that fill `bytes` from `at` to `end`; undefined: these are none. */
function nodesOf(bytes: Buffer, from: number, end: number, depth = 0): Node[] | undefined {
  const nodes: Node[] = [];
  let at = from;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1] ?? 0;
    const more = first > 0x80 ? first - 0x80 : 0;
    const start = at + 2 + more;
    if (at + 2 > end || first === 0x80 || more > 3 || start > end) return undefined;
    const stop = start + (more === 0 ? first : bytes.readUIntBE(at + 2, more));
    if (stop > end) return undefined;
    const isInner = (tag & 0x20) !== 0;
    const children = isInner && depth < depthMax ? nodesOf(bytes, start, stop, depth + 1) : undefined;
    if (isInner && children === undefined) return undefined;
    nodes.push({ tag, start, end: stop, children });
    at = stop;
  }
  return nodes;
}

function rootOf(bytes: Buffer): Node | undefined {
  const nodes = nodesOf(bytes, 0, bytes.length);
  return nodes?.length === 1 && nodes[0]?.children !== undefined ? nodes[0] : undefined;
}

/** Are these bytes one such tree? */
export const isTree = (bytes: Buffer): boolean => rootOf(bytes) !== undefined;

/** Where a datagram has the community by which SNMP v1 and v2c let in; undefined: it is none of theirs. */
export function communityPlace(bytes: Buffer): { start: number; end: number } | undefined {
  const [version, community, request] = rootOf(bytes)?.children ?? [];
  const isVersion = version?.tag === integer && version.end - version.start === 1;
  const isSnmp = isVersion && (bytes[version.start] ?? 9) < 2 && community?.tag === octets;
  // What is asked is tagged by its context: 0xa0 to 0xa8.
  return isSnmp && (request?.tag ?? 0) >> 4 === 0xa ? community : undefined;
}

const valueOf = (bytes: Buffer, { start, end }: Node): Buffer => bytes.subarray(start, end);

function isHidden({ hidden }: Bytes, { start, end }: Node): boolean {
  return end > start && hidden.subarray(start, end).every((one) => one === 1);
}

function encoded(bytes: Buffer, node: Node, put: ReadonlyMap<Node, Buffer>): Buffer {
  const { tag, children } = node;
  const inner = children?.map((child) => encoded(bytes, child, put));
  const value = put.get(node) ?? (inner === undefined ? valueOf(bytes, node) : Buffer.concat(inner));
  const { length } = value;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), value]);
}

interface Held {
  recorded: Bytes;
  live: Buffer;
  answer: Bytes | undefined;
  /** What the answer tells otherwise than the recorded one. */
  put: Map<Node, Buffer>;
}

/** Is the live node the recorded one, but for what the answer tells back? */
function isSame(held: Held, recorded: Node, live: Node, answer: Node | undefined): boolean {
  if (recorded.tag !== live.tag || recorded.children?.length !== live.children?.length) return false;
  if (recorded.children !== undefined)
    return recorded.children.every((child, i) =>
      isSame(held, child, live.children?.[i] as Node, answer?.children?.[i]),
    );
  const [was, is] = [valueOf(held.recorded.bytes, recorded), valueOf(held.live, live)];
  const back = answer === undefined || answer.children !== undefined ? undefined : answer;
  if (isHidden(held.recorded, recorded)) {
    if (back !== undefined && held.answer !== undefined && isHidden(held.answer, back))
      held.put.set(back, is);
    return true;
  }
  if (was.equals(is)) return true;
  if (
    recorded.tag !== integer ||
    was.length === 0 ||
    was.length > 6 ||
    was.readIntBE(0, was.length) <= constantMax
  )
    return false;
  if (held.answer === undefined) return true;
  if (back === undefined || !valueOf(held.answer.bytes, back).equals(was)) return false;
  held.put.set(back, is);
  return true;
}

/** How a datagram is held against a tape of such trees; undefined where it is none. */
export const treewise: Fit = (turn: Turn, live: Buffer) => {
  const [recorded, asked] = [rootOf(turn.request.bytes), rootOf(live)];
  if (recorded === undefined || asked === undefined) return undefined;
  const answers: Buffer[] = [];
  for (const answer of turn.answers.length === 0 ? [undefined] : turn.answers) {
    const root = answer === undefined ? undefined : rootOf(answer.bytes);
    const held: Held = { recorded: turn.request, live, answer, put: new Map() };
    if (!isSame(held, recorded, asked, root)) return undefined;
    if (answer !== undefined && root !== undefined) answers.push(encoded(answer.bytes, root, held.put));
  }
  return { answers, used: live.length };
};
