import type { Logger } from "pino";
import type { Site } from "../config/config.ts";
import { type LoadedSite, loadSiteApart, type Overlay, SiteError } from "../config/process.ts";
import type { HostedChange } from "../host-group.ts";
import {
  type Applied,
  ChangeRefused,
  type ConfigDesk,
  type Generation,
  Misfit,
  type Order,
  type Overlaying,
  type Standing,
  type Wanted,
} from "./desk.ts";
import type { Facts } from "./facts.ts";
import { checkRename, harmOf, type Seen } from "./gate.ts";
import { isEmpty, type Plan, planOf } from "./plan.ts";
import { isSameVersion } from "../twin/document.ts";
import type { Chosen } from "./start.ts";
import { filesNow, GenerationStore, hashOf, type KeptState } from "./store.ts";

/** The gateway whose configuration is changed. */
export interface LiveGateway {
  status(): Promise<Seen>;
  /** Only single devices stop, start or change their pace. */
  change(site: Site, steps: HostedChange): Promise<void>;
  /** Everything stops and starts. */
  restart(site: Site): Promise<void>;
  /** An event of the gateway itself. */
  tell(data: Record<string, unknown>): void;
  /** It cannot go on, and has to be started anew by its own supervisor. */
  fatal(error: Error): void;
}

/** What runs: enough to compare another configuration with, and to come back. */
interface Running {
  facts: Facts;
  generation: Omit<Generation, "files" | "hash">;
  hash: string;
  overlay?: Overlay;
  texts: LoadedSite["texts"];
  include: string[];
  stateFolder: string;
}

/** What the files on the disk say. */
interface KeptFiles {
  hash: string;
  include: string[];
}

interface Pending {
  previous: Running;
  plan: Plan;
  before: Seen;
  watchUntilMs: number;
  untilMs?: number;
  timer: NodeJS.Timeout;
}

const watchMsDefault = 30_000;
/** Longest time until a change is carried out: the outbox may have a long backlog to open. */
const carryOutMs = 60_000;
const lookMs = 500;
/** So that whoever has asked gets the answer before the socket closes. */
const answerMs = 300;

/** Keeps the configuration of a running gateway: plans, changes, watches, takes back. One change at a time. */
export class ConfigEngine implements ConfigDesk {
  readonly #file: string;
  readonly #live: LiveGateway;
  readonly #log: Logger;
  readonly #load: typeof loadSiteApart;
  #store: GenerationStore;
  #running: Running;
  /** What the files on the disk said when what runs was chosen. */
  #files: KeptFiles;
  #pending: Pending | undefined;
  /** One after another: orders, looks, settling and taking back. */
  #turn: Promise<unknown> = Promise.resolve();
  #isStopped = false;
  #safeMode: Standing["safeMode"];
  #reverted: Standing["reverted"];
  readonly #chosen: Chosen;
  #overlaying: Overlaying | undefined;
  #hasBegun = false;

  constructor(chosen: Chosen, live: LiveGateway, log: Logger, load = loadSiteApart) {
    this.#load = load;
    const { loaded, store, generation, filesHash, safeMode } = chosen;
    this.#file = loaded.site.file;
    this.#live = live;
    this.#log = log;
    this.#store = store;
    this.#chosen = chosen;
    this.#safeMode = safeMode;
    this.#files = { hash: filesHash, include: loaded.include };
    const about = { number: 0, at: new Date().toISOString(), by: "kerb run", how: "start" } as const;
    this.#running = runningOf(loaded, generation ?? { ...about, outcome: "kept" });
  }

  /** The gateway runs: what was chosen at the start is written down. Never rejects. */
  async begin(): Promise<void> {
    const { unconfirmed, state, notes } = this.#chosen;
    for (const note of notes) this.#log.warn(note);
    // The state folder may be another one than that of the files.
    this.#store = new GenerationStore(this.#running.stateFolder);
    try {
      if (unconfirmed !== undefined) {
        const reason = "the gateway ended before it was confirmed";
        this.#reverted = { generation: unconfirmed, reason };
        await this.#store.settle(unconfirmed, "reverted", reason);
        this.#tellReverted();
      }
      if (this.#safeMode !== undefined)
        await this.#tellSafeMode(unconfirmed === undefined ? undefined : state);
      else await this.#keepRunning();
    } catch (error) {
      this.#log.warn(
        `the configuration cannot be kept in ${this.#store.folder}: ${(error as Error).message}`,
      );
    }
    this.#hasBegun = true;
    this.#moved();
  }

  overlays(overlaying: Overlaying | undefined): void {
    this.#overlaying = overlaying;
    this.#moved();
  }

  /** What runs is another one, or is settled. */
  #moved(): void {
    if (!this.#hasBegun || this.#isStopped) return;
    const { generation, overlay } = this.#running;
    this.#overlaying?.moved({
      generation: generation.number,
      by: generation.by,
      isPending: this.#pending !== undefined,
      ...(overlay === undefined ? {} : { overlay }),
      ...(this.#reverted === undefined ? {} : { reverted: this.#reverted }),
    });
  }

  async #tellSafeMode(state: KeptState | undefined): Promise<void> {
    const { count, mistakes } = this.#safeMode ?? { count: 0, mistakes: [] };
    const { number } = this.#running.generation;
    for (const { file, line, message } of mistakes.slice(0, 20))
      this.#log.error({ code: "KERB-CFG-SAFE-MODE", file, line }, message);
    const text = `${this.#file} is wrong (${count}): generation ${number} runs in its place; mend the file, then: kerb config apply`;
    this.#log.error({ code: "KERB-CFG-SAFE-MODE" }, text);
    this.#live.tell({ state: "safe-mode", code: "KERB-CFG-SAFE-MODE", generation: number, mistakes: count });
    if (state !== undefined) await this.#store.setState(state);
  }

  /** What runs has a number and its files are kept; throws where the disk does not let it. */
  async #keepRunning(): Promise<void> {
    const running = this.#running;
    if (running.generation.number === 0) {
      const { number: _, ...about } = running.generation;
      const texts = new Map(running.texts);
      const { include, overlay } = running;
      running.generation = await this.#store.add(about, texts, include, overlay?.document);
    }
    await this.#store.setState({ current: running.generation.number, files: this.#files.hash });
  }

  async standing(): Promise<Standing> {
    const now = hashOf(
      await filesNow(this.#file, this.#files.include).catch(() => new Map<string, string>()),
    );
    // All of one moment: nothing is awaited from here on.
    const { generation, hash } = this.#running;
    const { number, at, by, how, of } = generation;
    const pending = this.#pending;
    const twin = this.#overlaying?.standing();
    return {
      generation: number,
      at,
      by,
      how,
      ...(of === undefined ? {} : { of }),
      filesDiffer: now !== hash,
      ...(this.#safeMode === undefined ? {} : { safeMode: this.#safeMode }),
      ...(pending === undefined
        ? {}
        : {
            pending: {
              previous: pending.previous.generation.number,
              watchUntilMs: pending.watchUntilMs,
              ...(pending.untilMs === undefined ? {} : { untilMs: pending.untilMs }),
            },
          }),
      ...(this.#reverted === undefined ? {} : { reverted: this.#reverted }),
      ...(twin === undefined ? {} : { twin }),
    };
  }

  history(): Promise<Generation[]> {
    return this.#store.list();
  }

  async plan(wanted?: Wanted): Promise<Plan> {
    const { facts } = await this.#load({ file: this.#file, ...wanted });
    return planOf(this.#running.facts, facts);
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(() => {
      if (this.#isStopped) throw new Error("the gateway stops");
      return work();
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  async rollback(number: number, order: Omit<Order, "wanted" | "how" | "of">): Promise<Applied> {
    try {
      return await this.#alone(() => this.#rollback(number, order));
    } finally {
      this.#moved();
    }
  }

  async #rollback(number: number, order: Omit<Order, "wanted" | "how" | "of">): Promise<Applied> {
    if (number === this.#running.generation.number)
      throw new ChangeRefused("KERB-CFG-GENERATION", `generation ${number} is the one that runs`);
    if (this.#pending?.previous.generation.number === number) {
      const { plan } = this.#pending;
      const generation = this.#running.generation.number;
      await this.#revert(`${order.by} took it back`, order.by);
      return { generation: number, previous: generation, plan, changed: false };
    }
    const kept = await this.#store.read(number);
    if (kept === undefined)
      throw new ChangeRefused("KERB-CFG-GENERATION", `there is no generation ${number}, or it is damaged`);
    const wanted = { files: kept.texts, isWhole: true, twin: kept.document ?? null };
    return this.#apply({ ...order, how: "rollback", of: number, wanted });
  }

  async apply(order: Order): Promise<Applied> {
    try {
      return await this.#alone(() => this.#apply(order));
    } finally {
      this.#moved();
    }
  }

  /** What an order would run, and what the files on the disk are meanwhile. */
  async #loadWanted({ wanted, document: twin }: Order): Promise<{ loaded: LoadedSite; files: KeptFiles }> {
    if (twin !== undefined) {
      // Over what runs: what somebody has not applied yet is not the twin's to apply.
      const files = this.#running.texts;
      const loaded = await this.#load({ file: this.#file, files, isWhole: true, twin });
      if (loaded.overlay?.mistakes !== undefined) throw new Misfit(loaded.overlay.mistakes);
      return { loaded, files: this.#files };
    }
    const loaded = await this.#load({ file: this.#file, ...wanted });
    const hash = hashOf(new Map(loaded.texts));
    const files = wanted === undefined ? { hash, include: loaded.include } : await this.#filesOnDisk();
    return { loaded, files };
  }

  /** The files on the disk: their hash and patterns, right or wrong. */
  async #filesOnDisk(): Promise<KeptFiles> {
    const found = await this.#load({ file: this.#file }).catch((error: unknown) => error);
    const texts = found instanceof SiteError ? found.texts : (found as LoadedSite).texts;
    const include = found instanceof SiteError ? [] : (found as LoadedSite).include;
    return { hash: hashOf(new Map(texts)), include };
  }

  async #apply(order: Order): Promise<Applied> {
    const { by, how, of } = order;
    if (this.#pending !== undefined) {
      const { number } = this.#running.generation;
      throw new ChangeRefused("KERB-CFG-PENDING", `generation ${number} is not settled yet`);
    }
    const { loaded, files } = await this.#loadWanted(order);
    const texts = new Map(loaded.texts);
    const { document } = loaded.overlay ?? {};
    // It lays its document over the last good files, and mends none.
    const isTwin = order.document !== undefined;
    const plan = planOf(this.#running.facts, loaded.facts);
    const previous = this.#running;
    const isSame = isEmpty(plan);
    const isKnown =
      hashOf(texts) === previous.hash &&
      isSameVersion(document, previous.overlay?.document) &&
      previous.generation.number > 0;
    if (isSame && isKnown) {
      this.#files = files;
      if (!isTwin) this.#safeMode = undefined;
      this.#reverted = undefined;
      await this.#keep(() => this.#keepRunning());
      const { number } = previous.generation;
      return { generation: number, previous: number, plan, changed: false };
    }
    const before = await this.#live.status();
    checkRename(plan, before, loaded.site.gateway);
    const outcome = isSame ? ("kept" as const) : ("pending" as const);
    const about = {
      at: new Date().toISOString(),
      by,
      how,
      ...(of === undefined ? {} : { of }),
      plan,
      outcome,
    };
    const untilMs = order.confirmMs === undefined ? {} : { untilMs: Date.now() + order.confirmMs };
    await this.#keep(async () => {
      if (previous.generation.number === 0) await this.#keepRunning();
      const generation = await this.#store.add(about, texts, loaded.include, document);
      this.#running = runningOf(loaded, generation);
      this.#files = files;
      const pending = { previous: previous.generation.number, ...untilMs };
      const state = { current: generation.number, files: files.hash };
      await this.#store.setState(isSame ? state : { ...state, pending });
      const other = new GenerationStore(loaded.site.gateway.stateFolder);
      await this.#store.copyTo(other);
      this.#store = other;
    }).catch((error: unknown) => {
      this.#running = previous;
      throw error;
    });
    const { number } = this.#running.generation;
    const applied = { generation: number, previous: previous.generation.number, plan, changed: !isSame };
    if (isSame) return applied;
    const watchMs = order.watchMs ?? watchMsDefault;
    // A restart takes its time; what it does is watched from its end.
    const watchUntilMs = Date.now() + Math.max(watchMs, carryOutMs);
    const look = () => this.#alone(() => this.#look(pending)).catch(() => {});
    const timer = setInterval(() => void look(), lookMs);
    const pending: Pending = { previous, plan, before, watchUntilMs, ...untilMs, timer };
    this.#pending = pending;
    if (!isTwin) this.#safeMode = undefined;
    const done = this.#tryOut(loaded.site, pending, watchMs, { generation: number, by, how });
    // The socket of whoever asks closes with the gateway.
    if (!plan.restartsGateway) await done;
    return applied;
  }

  async #tryOut(
    site: Site,
    pending: Pending,
    watchMs: number,
    about: Record<string, unknown>,
  ): Promise<void> {
    try {
      await this.#carryOut(site, pending.plan);
      pending.watchUntilMs = Date.now() + watchMs;
      this.#live.tell({ state: "config-applied", ...about });
    } catch (error) {
      await this.#revert(`it could not be carried out: ${(error as Error).message}`);
    }
  }

  async #keep(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const text = `the configuration cannot be kept in ${this.#store.folder}: ${(error as Error).message}`;
      throw new ChangeRefused("KERB-CFG-KEEP", text);
    }
  }

  async #carryOut(site: Site, plan: Plan): Promise<void> {
    const { number } = this.#running.generation;
    this.#log.info(
      `configuration: generation ${number}${plan.restartsGateway ? ", the whole gateway restarts" : ""}`,
    );
    if (plan.restartsGateway) {
      await new Promise((resolve) => setTimeout(resolve, answerMs));
      await this.#live.restart(site);
    } else await this.#live.change(site, stepsOf(plan, site));
  }

  /** Whether what was changed has done harm, or its time is up. */
  async #look(pending: Pending): Promise<void> {
    if (this.#pending !== pending) return;
    const nowMs = Date.now();
    const isOver = nowMs >= pending.watchUntilMs;
    // Watched to its end only once; what happens later, while somebody has yet to confirm, is not its doing.
    const isWatched = nowMs < pending.watchUntilMs + 5 * lookMs;
    const after = isWatched ? await this.#live.status().catch(() => undefined) : undefined;
    const harm = isWatched ? this.#harmOf(pending, after, isOver) : undefined;
    if (harm !== undefined) await this.#revert(harm);
    else if (pending.untilMs !== undefined && nowMs >= pending.untilMs)
      await this.#revert("nobody confirmed it in time");
    else if (isOver && pending.untilMs === undefined) await this.#settle();
  }

  #harmOf({ plan, before }: Pending, after: Seen | undefined, isOver: boolean): string | undefined {
    if (after !== undefined) return harmOf(plan, before, after, isOver);
    return isOver ? "the gateway does not answer for itself" : undefined;
  }

  async #settle(): Promise<void> {
    clearInterval(this.#pending?.timer);
    this.#pending = undefined;
    this.#reverted = undefined;
    const { generation } = this.#running;
    try {
      await this.#store.settle(generation.number, "kept");
      await this.#store.setState({ current: generation.number, files: this.#files.hash });
    } catch (error) {
      this.#log.error(
        `generation ${generation.number} cannot be marked as kept: ${(error as Error).message}`,
      );
    }
    this.#log.info(`configuration: generation ${generation.number} is kept`);
    this.#moved();
  }

  confirm(by: string): Promise<Standing> {
    return this.#alone(() => this.#confirm(by));
  }

  async #confirm(by: string): Promise<Standing> {
    if (this.#pending === undefined)
      throw new ChangeRefused("KERB-CFG-NOTHING", "no generation waits to be confirmed");
    await this.#settle();
    this.#live.tell({ state: "config-confirmed", generation: this.#running.generation.number, by });
    return this.standing();
  }

  /** What ran before runs again; the files on the disk stay as they are. */
  async #revert(why: string, by?: string): Promise<void> {
    const pending = this.#pending;
    if (pending === undefined) return;
    clearInterval(pending.timer);
    const { previous } = pending;
    // The texts of a generation are kept, its secrets are not: they say what their files say now.
    const { texts: files, overlay } = previous;
    const wanted = { file: this.#file, files, isWhole: true, twin: overlay?.document ?? null };
    const back = await this.#load(wanted).catch((error: unknown) => error as Error);
    if (this.#pending !== pending) return;
    this.#pending = undefined;
    const failed = this.#running;
    const isOther = !(back instanceof Error) && !isEmpty(planOf(previous.facts, back.facts));
    const reason = isOther ? `${why}; a secret stays as its file is: mend that, then kerb config apply` : why;
    this.#reverted = { generation: failed.generation.number, reason, ...(by === undefined ? {} : { by }) };
    this.#running = back instanceof Error ? previous : { ...previous, facts: back.facts };
    const store = this.#store;
    this.#store = new GenerationStore(previous.stateFolder);
    const state = { current: previous.generation.number, files: this.#files.hash };
    for (const one of new Set([store.folder, this.#store.folder])) {
      const its = one === store.folder ? store : this.#store;
      await its.setState(state).catch(() => {});
      await its.settle(failed.generation.number, "reverted", reason).catch(() => {});
    }
    try {
      if (back instanceof Error) throw back;
      const { site, facts } = back;
      const plan = planOf(failed.facts, facts);
      if (plan.restartsGateway) await this.#live.restart(site);
      else await this.#live.change(site, stepsOf(plan, site));
    } catch (error) {
      this.#live.fatal(
        new Error(`generation ${state.current} cannot be run again: ${(error as Error).message}`),
      );
    }
    this.#tellReverted();
    this.#moved();
  }

  #tellReverted(): void {
    const { generation, reason } = this.#reverted ?? { generation: 0, reason: "" };
    const to = this.#running.generation.number;
    const text = `generation ${generation} was taken back, ${to} runs: ${reason}`;
    this.#log.error({ code: "KERB-CFG-REVERTED" }, text);
    this.#live.tell({ state: "config-reverted", code: "KERB-CFG-REVERTED", generation, to, reason });
  }

  /** The gateway stops: nothing is watched or taken back any more. What was pending stays so for the next start. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#pending?.timer);
    this.#pending = undefined;
  }
}

function runningOf(loaded: LoadedSite, generation: Running["generation"]): Running {
  const { site, facts, texts, include, overlay } = loaded;
  const { stateFolder } = site.gateway;
  const laid = overlay === undefined ? {} : { overlay };
  return { facts, generation, hash: hashOf(new Map(texts)), texts, include, stateFolder, ...laid };
}

function stepsOf({ devices }: Plan, site: Site): HostedChange {
  const which = (...actions: string[]) =>
    devices.filter(({ action }) => actions.includes(action)).map(({ device }) => device);
  const pace = devices
    .filter(({ action, keys }) => action === "hot" && keys.some(({ key }) => key.startsWith("poll")))
    .flatMap(({ device }) => {
      const pollMs = site.devices.find(({ id }) => id === device)?.pollMs;
      return pollMs === undefined ? [] : [{ device, pollMs }];
    });
  return { stop: which("stop", "restart"), start: which("start", "restart"), pace };
}
