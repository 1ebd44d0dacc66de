import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../../simulators/simulator.ts";
import { driverNames, missingFiles } from "../contract/contract.ts";
import type { Devices, Lane } from "./reconnects-devices.ts";
import type { DriverProcess, Footprint } from "./reconnects-driver.ts";
import { Remote } from "./remote.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/**
 * Thousands of forced reconnects of every driver that has a contract table: the driver alone in one process, its
 * devices in another. What is open, running or kept after the first tenth must be what there is in the end.
 */

/** Each loss of a connection in turn; undefined: it is closed while all is well. */
const losses: readonly (Fault | undefined)[] = [
  "hangUp",
  undefined,
  "restart",
  undefined,
  "garbage",
  "refuse",
  undefined,
  "silent",
];
const awayMs = 40;
const comesBackMs = 15_000;

const heapGrowthMax = 0.4e6;
const rssGrowthMax = 8e6;
/** What is leaked with each connection where it is planted. */
const leakBytes = 8192;

interface Found {
  reconnects: number;
  lanes: Lane[];
  missing: string[];
  before: Footprint;
  after: Footprint;
  /** How connections ended, with how many did. */
  endings: Map<string, number>;
}

/** One device, lost and found again and again. */
class Cycle {
  readonly #driver: Remote<DriverProcess>;
  readonly #devices: Remote<Devices>;
  readonly #lane: number;
  readonly #isPushed: boolean;
  readonly #endings: Map<string, number>;
  #turn: number;

  constructor(
    driver: Remote<DriverProcess>,
    devices: Remote<Devices>,
    lane: number,
    isPushed: boolean,
    endings: Map<string, number>,
  ) {
    this.#driver = driver;
    this.#devices = devices;
    this.#lane = lane;
    this.#isPushed = isPushed;
    this.#endings = endings;
    // Not all of them meet the same loss at the same time.
    this.#turn = lane;
  }

  async run(): Promise<void> {
    await this.#found();
    const loss = losses[this.#turn++ % losses.length];
    if (this.#isPushed) await this.#hears();
    if (loss !== undefined) await this.#devices.call("fault", this.#lane, loss, awayMs);
    const ending = loss === undefined ? "closed while well" : await this.#driver.call("use", this.#lane);
    this.#endings.set(ending, (this.#endings.get(ending) ?? 0) + 1);
    await this.#driver.call("close", this.#lane);
    // What restarts comes back by itself.
    if (loss !== undefined && loss !== "restart") await this.#devices.call("fault", this.#lane, undefined, 0);
  }

  /** A subscription that is deaf is no reconnect, even if nothing leaks. */
  async #hears(): Promise<void> {
    const untilMs = performance.now() + comesBackMs;
    let how = "nothing";
    do {
      await this.#devices.call("tell", this.#lane);
      how = await this.#driver.call("heard", this.#lane);
      if (how === "heard") return;
      if (how !== "nothing") {
        await this.#driver.call("close", this.#lane);
        await this.#found();
      }
    } while (performance.now() < untilMs);
    throw new Error(`device ${this.#lane} was told of, and its subscription heard: ${how}`);
  }

  async #found(): Promise<void> {
    const untilMs = performance.now() + comesBackMs;
    for (;;) {
      const how = await this.#driver.call("open", this.#lane);
      if (how === "good") return;
      if (performance.now() > untilMs) throw new Error(`device ${this.#lane} was not found again: ${how}`);
      await sleep(10);
    }
  }
}

/** The least of a few looks: what has just been closed takes a moment to go. */
async function settled(driver: Remote<DriverProcess>, before?: Footprint): Promise<Footprint> {
  let least = await driver.call("footprint");
  for (let i = 0; i < 10 && (i < 2 || !isFlat(before, least)); i++) {
    await sleep(200);
    const next = await driver.call("footprint");
    least = {
      rssBytes: Math.min(least.rssBytes, next.rssBytes),
      heapBytes: Math.min(least.heapBytes, next.heapBytes),
      descriptors: Math.min(least.descriptors, next.descriptors),
      handles: next.handles,
    };
  }
  return least;
}

const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000)} kB`;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** What has grown, in words; empty: nothing has. */
function growth(before: Footprint, after: Footprint): string[] {
  const grown: string[] = [];
  const heap = after.heapBytes - before.heapBytes;
  const rss = after.rssBytes - before.rssBytes;
  if (heap > heapGrowthMax) grown.push(`heap +${kilobytes(heap)}`);
  if (rss > rssGrowthMax) grown.push(`RSS +${kilobytes(rss)}`);
  if (after.descriptors > before.descriptors)
    grown.push(`descriptors +${after.descriptors - before.descriptors}`);
  for (const [kind, count] of Object.entries(after.handles)) {
    const more = count - (before.handles[kind] ?? 0);
    if (more > 0) grown.push(`${kind} +${more}`);
  }
  return grown;
}

/** Nothing but memory has grown. */
const isWarmth = (before: Footprint, after: Footprint): boolean => {
  const grown = growth(before, after);
  return grown.length > 0 && grown.every((one) => /^(heap|RSS) /.test(one));
};

const sum = (endings: ReadonlyMap<string, number>): number =>
  [...endings.values()].reduce((total, times) => total + times, 0);

const isFlat = (before: Footprint | undefined, after: Footprint): boolean =>
  before === undefined || growth(before, after).length === 0;

async function reconnect(
  name: string,
  count: number,
  say: (text: string) => void,
  planted = 0,
): Promise<Found> {
  const devices = new Remote<Devices>(new URL("reconnects-devices.ts", import.meta.url), []);
  // As `gateway/kerb` and `gateway/hosts.ts` start a host.
  const flags = ["--expose-gc", "--max-semi-space-size=1", "--max-old-space-size=256", "--v8-pool-size=1"];
  const driver = new Remote<DriverProcess>(new URL("reconnects-driver.ts", import.meta.url), [], flags, {
    MALLOC_ARENA_MAX: "1",
    MALLOC_MMAP_THRESHOLD_: "1048576",
    MALLOC_TRIM_THRESHOLD_: "1048576",
  });
  try {
    const { lanes, missing } = await devices.call("open", name);
    if (lanes.length === 0)
      throw new Error(`no device of ${name} can be simulated here: ${missing.join("; ")}`);
    await driver.call("load", name, lanes, planted);
    const endings = new Map<string, number>();
    const cycles = lanes.map(
      ({ records }, i) => new Cycle(driver, devices, i, records !== undefined, endings),
    );
    const warm = Math.max(cycles.length * losses.length, Math.round(count / 10));
    let left = warm;
    const work = async (cycle: Cycle): Promise<void> => {
      while (left-- > 0) await cycle.run();
    };
    await Promise.all(cycles.map(work));
    const before = await settled(driver);
    say(`${name}: ${warm} reconnects of ${count}, ${Math.round(before.rssBytes / 1e6)} MB`);
    left = count - warm;
    await Promise.all(cycles.map(work));
    let after = await settled(driver, before);
    let warmedUp = before;
    if (isWarmth(before, after)) {
      // Code that is compiled late is memory too, but only once: what leaks goes on.
      warmedUp = { ...before, rssBytes: after.rssBytes, heapBytes: after.heapBytes };
      left = count - warm;
      await Promise.all(cycles.map(work));
      after = await settled(driver, warmedUp);
    }
    await devices.call("close");
    return { reconnects: sum(endings), lanes, missing, before: warmedUp, after, endings };
  } finally {
    await driver.stop();
    await devices.stop();
  }
}

function figureOf({ reconnects, lanes, missing, before, after, endings }: Found): string {
  const transports = [...new Set(lanes.map(({ transport }) => transport))].join(", ");
  const ends = [...endings]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([how, times]) => `${how} ${times}`);
  const grown = growth(before, after);
  return [
    `${reconnects} reconnects (${ends.join(", ")}) of ${lanes.length} devices on ${transports}`,
    `RSS ${megabytes(before.rssBytes)} → ${megabytes(after.rssBytes)} MB, heap ${megabytes(before.heapBytes)} → ${megabytes(after.heapBytes)} MB, ${after.descriptors} descriptors`,
    grown.length === 0 ? "flat" : `GROWN: ${grown.join(", ")}`,
    ...missing.map((one) => `not tried: ${one}`),
  ].join("; ");
}

/** All that had to be tried was, and nothing has grown; losses that were forced were seen. */
function passes({ before, after, endings, missing }: Found): boolean {
  const lost = [...endings].filter(([how]) => how !== "closed while well" && how !== "good");
  return growth(before, after).length === 0 && lost.length >= 1 && missing.length === 0;
}

const counts: Record<Scale, number> = { short: 150, full: 2000 };

function trialOf(name: string, position: number): Trial {
  return {
    id: `R30${String.fromCharCode(97 + position)}`,
    name: `${name}: reconnects without end`,
    passLine: `nothing grows after the first tenth: RSS ≤ +${rssGrowthMax / 1e6} MB, heap ≤ +${heapGrowthMax / 1e6} MB, descriptors, timers and sockets +0`,
    needs: [],
    async run(scale, say): Promise<Outcome> {
      const found = await reconnect(name, counts[scale], say);
      return { trials: found.reconnects, figure: figureOf(found), passed: passes(found) };
    },
  };
}

/** The trial must be able to fail: what a driver leaks with each connection has to be named. */
async function findsLeaks(name: string, say: (text: string) => void): Promise<Outcome> {
  const { before, after, reconnects } = await reconnect(name, counts.short, say, leakBytes);
  const grown = growth(before, after).join(", ");
  const isNamed = /heap \+.*descriptors \+\d+.*Timeout \+/.test(grown);
  const isAllThere = after.heapBytes - before.heapBytes > leakBytes * 50;
  return { trials: reconnects, figure: grown || "nothing was found", passed: isNamed && isAllThere };
}

const names = driverNames().filter((name) => missingFiles(name).length === 0);

export const trials: Trial[] = [
  ...names.map(trialOf),
  {
    id: "R31",
    name: "leaks planted into a driver are found",
    passLine: "a timer, an array and a descriptor for each connection: all are named",
    needs: [],
    run: (_, say) => findsLeaks(names[0] ?? "", say),
  },
];
