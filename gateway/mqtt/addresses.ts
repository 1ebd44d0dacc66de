import { lookup as resolve } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { isIP, type LookupFunction } from "node:net";

interface Address {
  address: string;
  family: number;
}

interface Memory {
  addresses?: Record<string, Address[]>;
  fleet?: number;
}

/** A name service that has not answered by now gets no more time: the last good address is tried. */
const patienceMs = 1500;
const addressesMax = 4;
const fileBytesMax = 16_384;

/**
 * What a link remembers over restarts: the addresses at which it last reached its broker, because a dead name
 * service must not keep it away, and how many gateways the broker serves. Without a file it forgets at the end.
 */
export class LinkMemory {
  readonly #file: string | undefined;
  readonly #resolve: (host: string) => Promise<Address[]>;
  #memory: Memory;
  #asked: { host: string; answer: Promise<Address[]> } | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** A file that cannot be read counts as empty. `ask` stands for the system's name service. */
  constructor(file?: string, ask = (host: string): Promise<Address[]> => resolve(host, { all: true })) {
    this.#file = file;
    this.#resolve = ask;
    this.#memory = file === undefined ? {} : readMemory(file);
  }

  /** Gateways at the broker as the receiver last said; undefined when it never did. */
  get fleet(): number | undefined {
    return this.#memory.fleet;
  }

  setFleet(fleet: number): void {
    if (fleet === this.#memory.fleet) return;
    this.#memory.fleet = fleet;
    this.#save();
  }

  /** A session was established with this address. */
  good(host: string, address: string): void {
    const family = isIP(address);
    if (family === 0 || isIP(host) !== 0) return;
    const known = this.#memory.addresses?.[host] ?? [];
    if (known[0]?.address === address) return;
    const rest = known.filter((one) => one.address !== address).slice(0, addressesMax - 1);
    this.#memory.addresses = { ...this.#memory.addresses, [host]: [{ address, family }, ...rest] };
    this.#save();
  }

  /** For `net.connect`: what the name service says, else what was good before. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    const answer = async (): Promise<void> => {
      const found = await this.addresses(host);
      const fitting = found.filter(({ family }) => !options.family || family === options.family);
      const [first] = fitting;
      if (first === undefined) {
        const unknown = new Error(`no address of ${host} is known`);
        callback(Object.assign(unknown, { code: "ENOTFOUND" }), []);
      } else if (options.all === true) callback(null, fitting);
      else callback(null, first.address, first.family);
    };
    void answer();
  };

  /** Addresses to try, in order; empty when neither the name service nor the memory has one. */
  async addresses(host: string): Promise<Address[]> {
    const remembered = this.#memory.addresses?.[host] ?? [];
    // One question at a time: each that hangs holds a thread of Node's pool, which files need too.
    if (this.#asked?.host !== host) {
      const answer = this.#resolve(host).catch(() => []);
      this.#asked = { host, answer };
      void answer.then(() => (this.#asked = undefined));
    }
    const { promise, resolve: late } = Promise.withResolvers<Address[]>();
    const timer = setTimeout(() => late([]), patienceMs);
    const fresh = await Promise.race([this.#asked.answer, promise]);
    clearTimeout(timer);
    return [...fresh, ...remembered.filter((old) => !fresh.some(({ address }) => address === old.address))];
  }

  #save(): void {
    const file = this.#file;
    if (file === undefined) return;
    const text = JSON.stringify(this.#memory);
    // It only saves time; what a full disk does not take is learnt again.
    this.#writing = this.#writing
      .then(() => writeFile(`${file}.new`, text))
      .then(() => rename(`${file}.new`, file))
      .catch(() => {});
  }

  /** Everything is written. */
  settled(): Promise<void> {
    return this.#writing;
  }
}

function readMemory(file: string): Memory {
  try {
    const text = readFileSync(file, "utf8");
    if (text.length > fileBytesMax) return {};
    const { addresses = {}, fleet } = JSON.parse(text) as Memory;
    const good = Object.entries(addresses).map(([host, list]) => [
      host,
      list
        .filter(({ address }) => isIP(address) !== 0)
        .map(({ address }) => ({ address, family: isIP(address) })),
    ]);
    return {
      addresses: Object.fromEntries(good) as Record<string, Address[]>,
      ...(typeof fleet === "number" && fleet >= 0 ? { fleet } : {}),
    };
  } catch {
    return {};
  }
}
