import { isIPv4 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type BrokerToHear, DeviceError, type Found, type LineToSearch, type Look } from "../driver.ts";
import type { Looking } from "./looks.ts";
import { type AddressRange, ownAddresses } from "./range.ts";
import { sweep } from "./sweep.ts";

/** Where to look, and how. */
export interface Wanted {
  readonly range?: AddressRange;
  /** Ports beside those of the protocols, at which anybody may be. */
  readonly ports: readonly number[];
  /** Where sites call, if not at the protocol's own port. */
  readonly callPort?: number;
  readonly line?: LineToSearch;
  readonly broker?: BrokerToHear;
  readonly units?: readonly number[];
  readonly forMs: number;
  /** A place that the running gateway uses. */
  readonly isHeld: (host: string, port: number) => boolean;
  /** The running gateway is called there. */
  readonly isCalledAt: (port: number) => boolean;
}

/** What happens on the way. */
export interface Ear {
  /** `isAsked`: he answers questions at a place; else he was only heard, and has not been spoken to. */
  found(driver: string, found: Found, isAsked: boolean): void;
  /** A place could not be looked at. */
  trouble(driver: string, error: DeviceError): void;
  /** What is being done, by what it is about. */
  doing(what: string, text: string): void;
}

/** Between two protocols that are tried on one port. */
const betweenMs = 50;

/**
 * Looks everywhere at once: who calls or answers a call to all, port after port of each address, and a line. Resolves
 * also when the signal aborts; what was found until then has been told.
 */
export async function search(
  looking: readonly Looking[],
  wanted: Wanted,
  ear: Ear,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    wanted.range === undefined ? [] : new NetworkSearch(looking, wanted, wanted.range, ear, signal).run(),
    wanted.line === undefined ? [] : searchLine(looking, wanted, wanted.line, ear, signal),
    wanted.broker === undefined ? [] : hearBroker(looking, wanted, wanted.broker, ear, signal),
  ]);
}

function lookOf({ forMs, units }: Wanted, what: string, ear: Ear, signal: AbortSignal): Look {
  const tell = (text: string): void => ear.doing(what, text);
  return { signal, forMs, ...(units === undefined ? {} : { units }), tell };
}

/** Takes what a look yields; gives how many. A failure of the place is told, and no reason to stop. */
async function taken(
  { driver }: Looking,
  founds: AsyncIterable<Found> | undefined,
  ear: Ear,
  signal: AbortSignal,
  isAsked = true,
): Promise<Found[]> {
  const all: Found[] = [];
  try {
    for await (const found of founds ?? []) {
      all.push(found);
      ear.found(driver, found, isAsked);
    }
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    if (!signal.aborted && error.code !== "aborted") ear.trouble(driver, error);
  }
  return all;
}

/** First those who only listen; where somebody talks by himself, nobody else is asked. */
async function searchLine(
  looking: readonly Looking[],
  wanted: Wanted,
  line: LineToSearch,
  ear: Ear,
  signal: AbortSignal,
): Promise<void> {
  for (const one of looking) {
    if (one.discovery.onLine === undefined || signal.aborted) continue;
    const failed = { is: false };
    const own: Ear = {
      ...ear,
      trouble: (driver, error) => {
        failed.is = true;
        ear.trouble(driver, error);
      },
    };
    const look = lookOf(wanted, "line", ear, signal);
    const found = await taken(one, one.discovery.onLine(line, look), own, signal);
    if (found.length > 0 || failed.is) return;
  }
}

async function hearBroker(
  looking: readonly Looking[],
  wanted: Wanted,
  broker: BrokerToHear,
  ear: Ear,
  signal: AbortSignal,
): Promise<void> {
  const look = lookOf(wanted, "broker", ear, signal);
  await Promise.all(
    looking.map((one) => taken(one, one.discovery.atBroker?.(broker, look), ear, signal, false)),
  );
}

/** The addresses of a range. */
class NetworkSearch {
  readonly #looking: readonly Looking[];
  readonly #wanted: Wanted;
  readonly #range: AddressRange;
  readonly #ear: Ear;
  readonly #signal: AbortSignal;
  /** Ports that have been looked at. */
  readonly #seen = new Set<string>();

  constructor(
    looking: readonly Looking[],
    wanted: Wanted,
    range: AddressRange,
    ear: Ear,
    signal: AbortSignal,
  ) {
    this.#looking = looking;
    this.#wanted = wanted;
    this.#range = range;
    this.#ear = ear;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const [heard] = await Promise.all([this.#listen(), this.#sweep()]);
    // Who answered a call to all may wait at a port that nobody else has.
    for (const { one, found } of heard) {
      const { host, port } = found.at;
      const isPlace = typeof host === "string" && typeof port === "number";
      if (isPlace && !this.#seen.has(`${host}:${port}`) && found.settings?.["tls"] === undefined)
        await this.#ask([one], host, port);
    }
  }

  async #listen(): Promise<{ one: Looking; found: Found }[]> {
    const { callPort } = this.#wanted;
    const range = {
      has: (address: string) => this.#range.has(address),
      own: ownAddresses(),
      ...(callPort === undefined ? {} : { port: callPort }),
      isTaken: (port: number) => this.#wanted.isCalledAt(port),
    };
    const all = await Promise.all(
      this.#looking.map(async (one) => {
        const look = lookOf(this.#wanted, one.driver, this.#ear, this.#signal);
        const founds = await taken(
          one,
          one.discovery.onNetwork?.(range, look),
          this.#inside(),
          this.#signal,
          false,
        );
        return founds.filter((found) => this.#isInside(found)).map((found) => ({ one, found }));
      }),
    );
    return all.flat();
  }

  #sweep(): Promise<void> {
    const tcp = this.#looking.flatMap(({ discovery }) => discovery.tcp ?? []);
    const udp = this.#looking.flatMap(({ discovery }) => discovery.udp ?? []);
    const { ports, isHeld } = this.#wanted;
    const { addresses } = this.#range;
    const plan = {
      addresses,
      tcp: [...new Set([...tcp, ...ports])],
      // Of a port that a person names it is not known what it is.
      udp: [...new Set([...udp, ...(udp.length > 0 ? ports : [])])],
      isHeld,
      visit: (address: string, port: number, kind: "tcp" | "udp") => this.#visit(address, port, kind),
      done: (count: number) => this.#ear.doing("range", `${count}/${addresses.length}`),
    };
    return sweep(plan, this.#signal);
  }

  async #visit(host: string, port: number, kind: "tcp" | "udp"): Promise<void> {
    const isNamed = this.#wanted.ports.includes(port);
    const asking = this.#looking.filter(({ discovery }) => {
      const { tcp, udp } = discovery;
      if (discovery.atPort === undefined) return false;
      const isUdp = udp !== undefined;
      if (isUdp !== (kind === "udp")) return false;
      return isNamed || (isUdp ? udp : (tcp ?? [])).includes(port);
    });
    this.#seen.add(`${host}:${port}`);
    await this.#ask(asking, host, port);
  }

  /** One after the other, until somebody knows who that is. */
  async #ask(asking: readonly Looking[], host: string, port: number): Promise<void> {
    if (!this.#range.has(host) || this.#wanted.isHeld(host, port)) return;
    for (const one of asking) {
      if (this.#signal.aborted) return;
      const look = lookOf(this.#wanted, host, this.#ear, this.#signal);
      // A port that is open and then is not is no trouble worth a line.
      const ear: Ear = { ...this.#inside(), trouble: () => {} };
      const found = await taken(one, one.discovery.atPort?.({ host, port }, look), ear, this.#signal);
      if (found.length > 0) return;
      await sleep(betweenMs, undefined, { signal: this.#signal }).catch(() => {});
    }
  }

  /** Whatever a driver believes: nobody outside of the range is shown, nor contacted later. */
  #inside(): Ear {
    return {
      ...this.#ear,
      found: (driver, found, isAsked) => {
        if (this.#isInside(found)) this.#ear.found(driver, found, isAsked);
      },
    };
  }

  #isInside({ at }: Found): boolean {
    const { host, transport } = at as { host?: unknown; transport?: { host?: unknown } };
    const named = host ?? transport?.host;
    return typeof named !== "string" || (isIPv4(named) && this.#range.has(named));
  }
}
