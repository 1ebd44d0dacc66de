import type Database from "better-sqlite3";
import type { DeviceSite, DictionaryDevice, DictionaryPoint } from "../event.ts";
import { Dictionary } from "../uplink/encoding.ts";
import { shortHash, writeDictionary } from "./beside.ts";
import { prepare } from "./statements.ts";

export interface RegisterDevice extends DeviceSite {
  id: string;
  type: string;
  profile: string;
  points: Omit<DictionaryPoint, "index">[];
}

/** More devices and points than one start can register. */
const indexesPerEpoch = 65_536;

/** What the indexes in the events mean: devices and points, each index given once for ever. */
export class Dictionaries {
  readonly #database: Database.Database;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #path: string;
  /** By device index; not in the file, because each start has the site file. */
  readonly #sites = new Map<number, DeviceSite>();
  #current: Dictionary;

  /** `known`: the devices of a run that goes on with this file. */
  constructor(
    database: Database.Database,
    statements: ReturnType<typeof prepare>,
    path: string,
    known: readonly DictionaryDevice[] = [],
  ) {
    this.#database = database;
    this.#statements = statements;
    this.#path = path;
    for (const device of known) this.#sites.set(device.index, siteOf(device));
    this.#current = this.#load();
  }

  /**
   * This file is not the newest that the box had: what that one gave its devices and points is not known here, and
   * an index used twice would give a value another point's name.
   */
  skip(epoch: number): void {
    const after = epoch * indexesPerEpoch;
    this.#database.transaction(() => {
      this.#statements.forgetIndexes.run();
      this.#statements.startIndexes.run(after, after);
    })();
  }

  /** Gives point and device indexes, durably; known ones keep theirs, changed ones get new ones. */
  register(devices: readonly RegisterDevice[]): DictionaryDevice[] {
    const { addDevice, deviceIndex, addPoint, pointIndex } = this.#statements;
    const registered = this.#database.transaction(() =>
      devices.map((device) => {
        addDevice.run(device.id, device.type, device.profile);
        const { idx } = deviceIndex.get(device.id, device.type, device.profile) as { idx: number };
        this.#sites.set(idx, siteOf(device));
        const points = device.points.map((point) => {
          addPoint.run(idx, point.name, point.unit, point.kind, point.decimals);
          const row = pointIndex.get(idx, point.name, point.unit, point.kind, point.decimals) as {
            idx: number;
          };
          return { ...point, index: row.idx };
        });
        const { id, type, profile } = device;
        return { index: idx, id, type, profile, ...siteOf(device), points };
      }),
    )();
    this.#current = this.#load();
    return registered;
  }

  get current(): Dictionary {
    return this.#current;
  }

  /**
   * A dictionary that an older cut was frozen with. Where it is missing, or not as it was written, the current one: an
   * index means the same for ever.
   */
  of(hash: string): Dictionary {
    if (hash === this.#current.hash) return this.#current;
    const row = this.#statements.dictionary.get(hash) as { json: string } | undefined;
    return row === undefined || shortHash(row.json) !== hash
      ? this.#current
      : new Dictionary(hash, JSON.parse(row.json) as DictionaryDevice[]);
  }

  #load(): Dictionary {
    const devices = storedDevices(this.#statements).map((device) => ({
      ...device,
      ...this.#sites.get(device.index),
      points: device.points,
    }));
    const json = JSON.stringify(devices);
    const hash = shortHash(json);
    this.#statements.addDictionary.run(hash, json);
    this.#statements.pruneDictionaries.run(hash);
    writeDictionary(this.#path, hash, json);
    return new Dictionary(hash, devices);
  }
}

/** Devices and points as the file has them. */
export function storedDevices(statements: ReturnType<typeof prepare>): DictionaryDevice[] {
  const points = statements.points.all() as (DictionaryPoint & { device: number })[];
  // Two hundred equal devices have the same texts; the file gives each a copy of its own.
  const texts = new Map<string, string>();
  const once = <Text extends string>(text: Text): Text => {
    if (!texts.has(text)) texts.set(text, text);
    return texts.get(text) as Text;
  };
  const byDevice = Map.groupBy(points, (point) => point.device);
  return (statements.devices.all() as Omit<DictionaryDevice, "points">[]).map((device) => ({
    ...device,
    points: (byDevice.get(device.index) ?? []).map(({ index, name, unit, kind, decimals }) => ({
      index,
      name: once(name),
      unit: once(unit),
      kind: once(kind),
      decimals,
    })),
  }));
}

/** Nothing where nothing is said: so the dictionary of a site without places has the bytes that it always had. */
function siteOf({ name, place, levels }: DeviceSite): DeviceSite {
  return {
    ...(name === undefined ? {} : { name }),
    ...(place === undefined ? {} : { place }),
    ...(levels === undefined ? {} : { levels }),
  };
}
