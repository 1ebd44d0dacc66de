import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";

/** Addresses that may be contacted. Nothing outside of them ever is. */
export interface AddressRange {
  /** As they were named: "192.168.10.0/24". */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly has: (address: string) => boolean;
}

/** Why a text is no range: no network, larger than one may be looked through, or others' addresses. */
export type RangeProblem = "form" | "large" | "public";

/** A network has at most so many, and all that are named together. */
const addressesMax = 1024;

const numberOf = (address: string): number =>
  address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

const textOf = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");

const privateNetworks: readonly (readonly [network: string, bits: number])[] = [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  // Of carriers (RFC 6598), link-local, and this machine itself.
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
  ["127.0.0.0", 8],
];

function isPrivate(address: string): boolean {
  const number = numberOf(address);
  return privateNetworks.some(([network, bits]) => {
    const size = 2 ** (32 - bits);
    return Math.floor(number / size) === Math.floor(numberOf(network) / size);
  });
}

interface Block {
  name: string;
  first: number;
  count: number;
}

function blockOf(text: string): Block | RangeProblem {
  const [, address = "", given = "32"] = /^([\d.]+)(?:\/(\d{1,2}))?$/.exec(text) ?? [];
  const bits = Number(given);
  if (!isIPv4(address) || bits > 32) return "form";
  const count = 2 ** (32 - bits);
  if (count > addressesMax) return "large";
  // Somebody else's network is no place to look around in; one address that was named is a decision.
  if (count > 1 && !isPrivate(address)) return "public";
  return { name: text, first: Math.floor(numberOf(address) / count) * count, count };
}

/** The addresses of "192.168.10.0/24", "10.0.0.7" …; those of network and broadcast are not among them. */
export function rangeOf(texts: readonly string[]): AddressRange | { problem: RangeProblem; text: string } {
  const blocks: Block[] = [];
  for (const text of texts) {
    const block = blockOf(text.trim());
    if (typeof block === "string") return { problem: block, text };
    blocks.push(block);
  }
  const numbers = blocks.flatMap(({ first, count }) => {
    const all = Array.from({ length: count }, (_, index) => first + index);
    return count > 2 ? all.slice(1, -1) : all;
  });
  const addresses = [...new Set(numbers)].map(textOf);
  if (addresses.length > addressesMax) return { problem: "large", text: texts.join(" ") };
  const allowed = new Set(addresses);
  return { names: blocks.map(({ name }) => name), addresses, has: (address) => allowed.has(address) };
}

/** A network that this machine is in. */
export interface OwnNetwork {
  /** "192.168.10.0/24". */
  cidr: string;
  interface: string;
  address: string;
}

/** The private networks at this machine's own interfaces, and those of them that are too large to look through. */
export function ownNetworks(interfaces = networkInterfaces()): {
  networks: OwnNetwork[];
  large: OwnNetwork[];
} {
  const all = Object.entries(interfaces).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ family, internal, address, cidr }) => {
      const bits = Number(cidr?.split("/")[1] ?? 32);
      if (family !== "IPv4" || internal || bits > 30 || !isPrivate(address)) return [];
      const size = 2 ** (32 - bits);
      const network = textOf(Math.floor(numberOf(address) / size) * size);
      return [{ cidr: `${network}/${bits}`, interface: name, address, size }];
    }),
  );
  const bare = ({ size: _size, ...network }: (typeof all)[number]): OwnNetwork => network;
  return {
    networks: all.filter(({ size }) => size <= addressesMax).map(bare),
    large: all.filter(({ size }) => size > addressesMax).map(bare),
  };
}

/** All IPv4 addresses of this machine. */
export function ownAddresses(interfaces = networkInterfaces()): string[] {
  return Object.values(interfaces).flatMap((addresses = []) =>
    addresses.filter(({ family }) => family === "IPv4").map(({ address }) => address),
  );
}
