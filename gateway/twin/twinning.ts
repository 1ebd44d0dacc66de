import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Happening } from "../commands/journal-lines.ts";
import type { Site } from "../config/config.ts";
import type { ConfigDesk } from "../generations/desk.ts";
import type { TwinLane } from "../uplink/twin.ts";
import type { TwinDesk, TwinNews } from "./desk.ts";
import { readKept } from "./kept.ts";

/** What the gateway gives to its twin. */
export interface TwinnedGateway {
  log: Logger;
  config: ConfigDesk;
  lanes: () => readonly TwinLane[];
  /** Puts it onto the record of commands; rejects where there is none. */
  record: (happening: Happening) => Promise<void>;
  /** An event of the gateway itself. */
  tell: (data: Record<string, unknown>) => void;
}

/**
 * Joins the twin to uplinks, configuration and record. Its desk is loaded where the site file opens something, where
 * something was wanted before, or with the first document, which is then refused.
 */
export class Twinning {
  readonly #site: Pick<Site, "gateway">;
  readonly #gateway: TwinnedGateway;
  #twin: Site["twin"];
  #desk: Promise<TwinDesk> | undefined;
  #isClosed = false;

  constructor(site: Site, gateway: TwinnedGateway) {
    this.#site = { gateway: site.gateway };
    this.#twin = site.twin;
    this.#gateway = gateway;
  }

  /** Begins to listen. */
  async start(): Promise<void> {
    const isKnown = async () =>
      (await readKept(this.#site.gateway.stateFolder).catch(() => null)) !== undefined;
    const isWanted = this.#twin !== undefined || (await isKnown());
    if (this.#isClosed) return;
    if (isWanted) await this.#open();
    this.#listen();
  }

  /** The site has changed: who may want what. */
  async renew({ twin }: Site): Promise<void> {
    if (isDeepStrictEqual(twin, this.#twin)) return;
    this.#twin = twin;
    if (twin !== undefined) await this.#open();
    (await this.#desk)?.renew(twin);
    // The broker says again what it keeps.
    this.#listen();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#desk)?.close();
  }

  #listen(): void {
    for (const lane of this.#gateway.lanes())
      lane.listen((bytes) => this.#take(bytes), this.#twin !== undefined);
  }

  #take(bytes: Uint8Array): void {
    if (this.#isClosed || bytes.length === 0) return;
    this.#open().then(
      (desk) => desk.take(bytes),
      (error: unknown) => this.#gateway.log.error(`the twin cannot be loaded: ${String(error)}`),
    );
  }

  #open(): Promise<TwinDesk> {
    this.#desk ??= this.#load();
    return this.#desk;
  }

  async #load(): Promise<TwinDesk> {
    const loaded = await import("./desk.ts");
    const { log, config, lanes, record, tell } = this.#gateway;
    const { id, stateFolder } = this.#site.gateway;
    return new loaded.TwinDesk({
      gateway: id,
      stateFolder,
      config,
      twin: this.#twin,
      publish: (have) => {
        const body = JSON.stringify(have);
        for (const lane of lanes()) lane.tell(body);
      },
      record: async (news) => {
        this.#log(news);
        const { state, ver, ...rest } = news;
        tell({ state: `twin-${state}`, ver, ...rest });
        await record({ ev: `twin-${state}`, id: `ver ${ver}`, ...rest }).catch((error: Error) => {
          log.warn({ code: "KERB-CMD-JOURNAL" }, `the twin is not on the record: ${error.message}`);
        });
      },
      suppressed: (codes) => void record({ ev: "suppressed", codes }).catch(() => {}),
      log: (text) => log.error({ code: "KERB-TWIN-KEEP" }, text),
    });
  }

  #log({ state, ver, by, code, reason }: TwinNews): void {
    const text = `twin: version ${ver}${by === "" ? "" : ` of ${by}`} is ${state}${reason === undefined ? "" : `: ${reason}`}`;
    if (code === undefined) this.#gateway.log.info(text);
    else this.#gateway.log.warn({ code }, text);
  }
}
