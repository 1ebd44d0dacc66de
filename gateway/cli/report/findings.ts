import { choose, profilesOf, type Tried } from "../../discovery/candidates.ts";
import type { Finding } from "../../discovery/kept.ts";
import { knownAs } from "../../discovery/known.ts";
import type { Looking } from "../../discovery/looks.ts";
import type { DeviceConfig } from "../../config/config.ts";
import type { Found } from "../../driver.ts";
import type { Profile } from "../../profiles/profiles.ts";
import type { Neighbours } from "../discover/discover-site.ts";
import { readAs } from "../discover/profile-choice.ts";

/** So many machines are compared with profiles at once; whoever shares a machine or a line waits. */
const atOnce = 8;

interface Heard {
  driver: string;
  found: Found;
  /** He answers questions. */
  isAsked: boolean;
}

/** Everybody who was found, each once, however often he was met. */
export class Findings {
  readonly #heard = new Map<string, Heard>();
  readonly #held: Omit<Finding, "number">[] = [];
  readonly #looking: readonly Looking[];
  readonly #near: Neighbours;
  readonly #profiles = new Map<string, Profile[]>();

  constructor(looking: readonly Looking[], near: Neighbours) {
    this.#looking = looking;
    this.#near = near;
  }

  get size(): number {
    return this.#heard.size + this.#held.length;
  }

  addHeld(held: readonly Omit<Finding, "number">[]): void {
    this.#held.push(...held);
  }

  add(driver: string, found: Found, isAsked: boolean): void {
    const key = JSON.stringify([driver, found.at]);
    const before = this.#heard.get(key);
    this.#heard.set(key, {
      driver,
      found: before === undefined ? found : merged(before.found, found),
      isAsked: isAsked || before?.isAsked === true,
    });
  }

  /** Each with the profile that fits it, in the order of the addresses. Settles soon after the signal aborts. */
  async chosen(signal: AbortSignal, tell: (place: string) => void): Promise<Finding[]> {
    const groups = Object.values(
      Object.groupBy([...this.#heard.values()], ({ found }) => machineOf(found)),
    ).map((group = []) => group);
    const done: Omit<Finding, "number">[] = [...this.#held];
    const work = async (): Promise<void> => {
      for (let group = groups.shift(); group !== undefined; group = groups.shift())
        for (const one of group) done.push(await this.#one(one, signal, tell));
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return done.toSorted(byPlace).map((one, index) => ({ number: index + 1, ...one }));
  }

  #profilesOf(driver: string): Profile[] {
    const known = this.#profiles.get(driver) ?? profilesOf(driver);
    this.#profiles.set(driver, known);
    return known;
  }

  async #one(
    { driver, found, isAsked }: Heard,
    signal: AbortSignal,
    tell: (place: string) => void,
  ): Promise<Omit<Finding, "number">> {
    const known = knownAs(driver, found, this.#near.occupied.devices);
    const discovery = this.#looking.find((one) => one.driver === driver)?.discovery;
    const tryOut = async (device: DeviceConfig, names: readonly string[]): Promise<Tried> => {
      tell(found.place);
      return readAs(device, names, signal);
    };
    // Of one that the site file has, a person has said what he is; one that calls is not to think that he was taken.
    const mayTry = known === undefined && isAsked && !signal.aborted;
    const chosen = await choose(
      driver,
      found,
      this.#profilesOf(driver),
      discovery,
      mayTry ? tryOut : undefined,
    );
    return {
      driver,
      place: found.place,
      settings: { ...found.at, ...found.settings },
      needs: [...(found.needs ?? [])],
      ...chosen,
      ...(known === undefined ? {} : { known, ...profileIn(this.#near, known) }),
    };
  }
}

function profileIn({ occupied }: Neighbours, id: string): { profile?: string } {
  const profile = occupied.devices.find((one) => one.id === id)?.profile;
  return profile === undefined ? {} : { profile };
}

/** Whoever answered without a login has said more. */
function merged(a: Found, b: Found): Found {
  const [less, more] = (a.needs ?? []).length >= (b.needs ?? []).length ? [a, b] : [b, a];
  return {
    ...more,
    settings: { ...less.settings, ...more.settings },
    identity: { ...less.identity, ...more.identity },
  };
}

/** Those who share a machine, a converter or a line are asked one after the other. */
function machineOf({ at }: Found): string {
  const { host, transport } = at as { host?: unknown; transport?: { host?: unknown; port?: unknown } };
  return JSON.stringify(host ?? transport?.host ?? transport?.port ?? "");
}

const numberIn = (place: string): number[] => (place.match(/\d+/g) ?? []).map(Number);

/** Addresses before lines, each by its numbers. */
function byPlace(a: Omit<Finding, "number">, b: Omit<Finding, "number">): number {
  const [first, second] = [a, b].map(({ place }) => (/^\d/.test(place) ? 0 : 1));
  if (first !== second) return (first ?? 0) - (second ?? 0);
  const [left, right] = [numberIn(a.place), numberIn(b.place)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1);
    if (difference !== 0) return difference;
  }
  return a.place < b.place ? -1 : 1;
}
