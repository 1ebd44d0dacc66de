import type { KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { bootId, clockState, monotonicMs } from "../clock.ts";
import { Journal } from "../commands/journal.ts";
import type { Entry } from "../commands/journal-lines.ts";
import type { Site } from "../config/config.ts";
import { load } from "../config/load.ts";
import { loadedOf, type LoadedSite, type LoadRequest } from "../config/process.ts";
import { ConfigEngine } from "../generations/engine.ts";
import type { Seen } from "../generations/gate.ts";
import { chooseStart } from "../generations/start.ts";
import { issuerKeyOf, newIssuerKey, publicKeyOf } from "../receiver/commands/make.ts";
import { TwinDesk } from "./desk.ts";
import { signTwin, type TwinContent, type TwinDocument, wantedHash } from "./document.ts";
import type { Have } from "./have.ts";

/** A box without devices that answer: files, the keeper of the configuration, the twin's desk, and a journal. */

export interface Pair {
  secret: KeyObject;
  key: string;
}

function pair(): Pair {
  const secret = issuerKeyOf(newIssuerKey().pem);
  return { secret, key: publicKeyOf(secret) };
}

export const [ioc, depot, crew, stranger] = [pair(), pair(), pair(), pair()];
const evidence = { source: "a trial", certainty: "to-verify" };
const named = (name: string) => ({ label: { en: name, vi: name }, ...evidence });

const address = (register: number) => ({ table: "holding", register });

export function siteOf(more: Record<string, unknown> = {}): Record<string, unknown> & { devices: unknown[] } {
  const level = { unit: "%", kind: "number", address: address(0), ...named("level") };
  const points = {
    level,
    slope: { ...level, address: address(1), swingingDoor: 2 },
    lamp: { ...level, address: address(3), write: { limits: [0, 100] } },
    breaker: { ...level, address: address(4), write: { safety: true } },
    open: { unit: "1", kind: "boolean", address: { ...address(2), type: "bool", bit: 0 }, ...named("open") },
  };
  const device = (id: string, unit: number) => ({
    id,
    driver: "modbus",
    poll: "1s",
    transport: { type: "tcp", host: "127.0.0.1", port: 1502 },
    unit,
    points,
    write: { allow: ["lamp", "breaker"] },
  });
  return {
    version: 1,
    gateway: { id: "gw-01", name: "Tủ", city: "test", state: "./state" },
    commands: {
      issuers: [
        { id: "ioc", key: ioc.key, roles: ["field"] },
        { id: "depot", key: depot.key, roles: ["field"] },
      ],
      roles: { field: { devices: ["pump"] } },
    },
    twin: { allow: ["polls", "deadBands", "schedules", "issuers"], issuers: ["ioc"] },
    devices: [device("pump", 1), device("gate", 2)],
    ...more,
  };
}

const now = () => ({ wallMs: Date.now(), monoMs: monotonicMs(), clock: clockState(), boot: bootId() });

/** As `loadSiteApart`, which takes a process each time. */
const loadHere = async (request: LoadRequest): Promise<LoadedSite> => loadedOf(await load(request));

/** A content that is sound but for what is told; `hash` and `sig` are made last. */
export function contentOf(
  ver: number,
  cfg: TwinContent["cfg"],
  more: Partial<TwinContent> = {},
): TwinContent {
  const at = 1_793_000_000_000;
  return { v: 1, gw: "gw-01", ver, by: "an@ioc", at, hash: wantedHash(cfg), cfg, ...more };
}

export function documentOf(
  ver: number,
  cfg: TwinContent["cfg"],
  more: Partial<TwinContent> = {},
  key: KeyObject = ioc.secret,
): TwinDocument {
  return signTwin(contentOf(ver, cfg, more), key);
}

export const bytesOf = (document: unknown): Buffer => Buffer.from(JSON.stringify(document));

/** The gateway whose devices are all there, unless somebody says that one is not. */
class Live {
  readonly sites: Site[] = [];
  readonly events: Record<string, unknown>[] = [];
  lost: string | undefined;
  /** The next change loses this device. */
  breaks: string | undefined;

  status(): Promise<Seen> {
    const devices = ["pump", "gate"].map((id) => ({
      id,
      driver: "modbus",
      enabled: true,
      state: id === this.lost ? ("lost" as const) : ("online" as const),
    }));
    return Promise.resolve({
      uplinks: [],
      hosts: [{ driver: "modbus", state: "running", restarts: 0 }],
      devices,
    });
  }

  change(site: Site): Promise<void> {
    this.sites.push(site);
    this.lost = this.breaks;
    this.breaks = undefined;
    return Promise.resolve();
  }

  restart(site: Site): Promise<void> {
    return this.change(site);
  }

  tell(data: Record<string, unknown>): void {
    this.events.push(data);
  }

  fatal(error: Error): void {
    throw error;
  }
}

export class Box {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-twin-"));
  readonly file = join(this.folder, "gateway.yaml");
  readonly state = join(this.folder, "state");
  readonly live = new Live();
  readonly haves: Have[] = [];
  readonly records: Entry[] = [];
  engine!: ConfigEngine;
  desk!: TwinDesk;
  site!: Site;
  #journal: Journal | undefined;

  static async open(site: Record<string, unknown> = siteOf()): Promise<Box> {
    const box = new Box();
    box.write(site);
    await box.start();
    return box;
  }

  write(site: Record<string, unknown>): void {
    writeFileSync(this.file, JSON.stringify(site, undefined, 1));
  }

  /** As `kerb run` begins. */
  async start(watchMs = 100): Promise<void> {
    this.haves.length = 0;
    this.records.length = 0;
    const chosen = await chooseStart(this.file, { load: loadHere });
    this.site = chosen.loaded.site;
    this.engine = new ConfigEngine(chosen, this.live, pino({ level: "silent" }), loadHere);
    const each = (entry: Entry) => void this.records.push(entry);
    this.#journal = await Journal.open({ folder: join(this.state, "commands"), now, each }, { gw: "gw-01" });
    const { twin } = this.site;
    this.desk = new TwinDesk({
      gateway: "gw-01",
      stateFolder: this.state,
      config: this.engine,
      twin: twin === undefined ? undefined : { ...twin, watchMs },
      publish: (have) => this.haves.push(have),
      record: async ({ state, ver, ...rest }) => {
        await this.#journal?.append({ ev: `twin-${state}`, ver, ...rest });
      },
      suppressed: (codes) => this.#journal?.note({ ev: "suppressed", codes }),
      log: (text) => this.live.events.push({ log: text }),
      budgets: { signed: 1000, unsigned: 1000 },
    });
    await this.engine.begin();
  }

  /** The newest report once it fits. */
  async until(fits: (have: Have) => boolean): Promise<Have> {
    for (let left = 400; left > 0; left--) {
      const have = this.haves.at(-1);
      if (have !== undefined && fits(have)) return have;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`never so: ${JSON.stringify(this.haves.slice(-3))} ${JSON.stringify(this.live.events)}`);
  }

  /** Takes a document and waits for its end. */
  async take(document: TwinDocument): Promise<Have> {
    this.desk.take(bytesOf(document));
    const { ver, hash } = document;
    return this.until((have) => have.ver === ver && have.hash === hash && have.state !== "staged");
  }

  /** As after a power cut: nothing is finished. */
  async cut(): Promise<void> {
    this.engine.stop();
    this.engine.overlays(undefined);
    await this.#journal?.close();
  }

  async stop(): Promise<void> {
    this.engine.stop();
    await this.desk.close();
    await this.#journal?.close();
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
