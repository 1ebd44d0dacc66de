import { createHash } from "node:crypto";
import { type Budgets, Refusals } from "../commands/refusals.ts";
import { ChangeRefused, type ConfigDesk, type Laid, Misfit } from "../generations/desk.ts";
import {
  filesAlone,
  isMistake,
  isSameVersion,
  originMistake,
  parseTwin,
  secretMistake,
  type SiteTwin,
  type TwinDocument,
  type TwinMistake,
  type Version,
} from "./document.ts";
import { type Have, type HaveError, told, type TwinState } from "./have.ts";
import { type KeptTwin, readKept, type Taken, writeKept } from "./kept.ts";
import type { TwinStanding } from "./standing.ts";

/** A document that came, and what has become of it, for the record. */
export interface TwinNews extends Version {
  state: TwinState;
  by: string;
  /** Nobody has proved to be who has sent it. */
  unsigned?: true;
  code?: string;
  reason?: string;
}

export interface TwinDeskOptions {
  gateway: string;
  stateFolder: string;
  config: Pick<ConfigDesk, "apply" | "overlays">;
  twin: SiteTwin | undefined;
  /** Puts the report where the IOC finds it. */
  publish: (have: Have) => void;
  /** Each document that was taken or refused, and what came of it; never rejects. */
  record: (news: TwinNews) => Promise<void>;
  /** So many refusals of one code were only counted. */
  suppressed: (codes: Record<string, number>) => void;
  log: (text: string) => void;
  /** How many refusals a minute are told; the others are counted. */
  budgets?: Partial<Budgets>;
}

/** What is begun for the first time, and twice more after the gateway has ended over it. */
const triesMax = 3;
/** Documents that wait while one is looked at; beyond it they come again with the next connection. */
const waitingMax = 32;
/** Longest time that a disk that hangs keeps the gateway from stopping. */
const closeMs = 2000;

/**
 * The gateway's desk for the twin: checks each document, keeps it, has it laid over the files by whoever keeps the
 * configuration, and reports what came of it. One document at a time; a newer one takes the place of one that waits.
 */
export class TwinDesk {
  readonly #options: TwinDeskOptions;
  readonly #refusals: Refusals;
  #twin: SiteTwin | undefined;
  #kept: KeptTwin | undefined;
  /** What runs; undefined until somebody has said. */
  #laid: Laid | undefined;
  /** The generation that tries what was taken. */
  #trial: number | undefined;
  /** A document under watch when a newer one came: its end is still put on the record. */
  #older: { document: TwinDocument; generation: number } | undefined;
  /** What was last told to run. */
  #told: Version | undefined;
  /** Documents that nobody has looked at yet. */
  #waiting = 0;
  /** The last that was refused; it comes again with each connection while the broker keeps it. */
  #refused: { digest: string; version: Version; errors: HaveError[]; at: number } | undefined;
  /** Reports, records and changes, one after another. */
  #turn: Promise<void>;
  #isStopped = false;

  constructor(options: TwinDeskOptions) {
    this.#options = options;
    this.#twin = options.twin;
    this.#refusals = new Refusals(options.budgets ?? {}, options.suppressed);
    this.#turn = this.#open();
    options.config.overlays({
      moved: (laid) => this.#soon(() => this.#moved(laid)),
      standing: () => this.#standing(),
    });
  }

  /** Who may want what is another: what was refused may come again. */
  renew(twin: SiteTwin | undefined): void {
    this.#twin = twin;
    this.#refused = undefined;
  }

  /** A document from the broker, which may be anything. Nothing is what a broker says that was cleaned. */
  take(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#waiting >= waitingMax) return;
    this.#waiting++;
    this.#soon(async () => {
      this.#waiting--;
      await this.#arrived(bytes);
    });
  }

  /** Ends what is under way as far as it can in a moment; what is staged stays so. */
  async close(): Promise<void> {
    this.#isStopped = true;
    this.#options.config.overlays(undefined);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, closeMs)));
    await Promise.race([this.#turn, patience]);
    clearTimeout(timer);
    this.#refusals.flush();
  }

  #soon(work: () => Promise<void>): void {
    this.#turn = this.#after(this.#turn, work);
  }

  async #after(before: Promise<void>, work: () => Promise<void>): Promise<void> {
    await before;
    if (this.#isStopped) return;
    try {
      await work();
    } catch (error) {
      this.#options.log(`the twin cannot be kept: ${(error as Error).message}`);
    }
  }

  async #open(): Promise<void> {
    try {
      this.#kept = await readKept(this.#options.stateFolder);
    } catch (error) {
      this.#options.log(`what the twin wants cannot be read: ${(error as Error).message}`);
    }
  }

  async #keep(kept: KeptTwin): Promise<void> {
    await writeKept(this.#options.stateFolder, kept);
    this.#kept = kept;
  }

  // ------------------------------------------------------------------------------------------------ what comes

  async #arrived(bytes: Uint8Array): Promise<void> {
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (this.#refused?.digest === digest) return this.#publish();
    const document = parseTwin(bytes);
    if (isMistake(document)) return this.#refuse(digest, document, undefined);
    const { gateway } = this.#options;
    const origin = originMistake(document, gateway, this.#twin);
    if (origin !== undefined) return this.#refuse(digest, origin, document);
    const known = this.#kept?.taken.document;
    if (isSameVersion(known, document)) {
      this.#refused = undefined;
      return this.#publish();
    }
    const mistake = orderMistake(document, known) ?? secretMistake(document);
    if (mistake !== undefined) return this.#refuse(digest, mistake, document, true);
    await this.#stage(document, digest);
  }

  async #refuse(
    digest: string,
    mistake: TwinMistake,
    document: TwinDocument | undefined,
    isSigned = false,
  ): Promise<void> {
    if (!this.#refusals.take(isSigned ? "signed" : "unsigned", mistake.code)) return;
    const { ver, hash } = document ?? { ver: 0, hash: "" };
    this.#refused = { digest, version: { ver, hash }, errors: told([mistake]), at: Date.now() };
    await this.#options.record({
      ver,
      hash,
      state: "rejected",
      by: document?.by ?? "",
      code: mistake.code,
      reason: mistake.text,
      ...(isSigned ? {} : { unsigned: true }),
    });
    this.#publish();
  }

  /** Kept before anything is done with it: whatever happens from here on, it was taken. */
  async #stage(document: TwinDocument, digest: string): Promise<void> {
    const before = this.#kept;
    if (before?.taken.state === "staged" && this.#trial !== undefined)
      this.#older = { document: before.taken.document, generation: this.#trial };
    else if (before?.taken.state === "staged")
      await this.#end("rejected", [fault("KERB-TWIN-SUPERSEDED", `version ${document.ver} has come`)]);
    const at = Date.now();
    const taken: Taken = { document, state: "staged", tries: 0, errors: [], at };
    try {
      await this.#keep({ v: 1, taken, laid: this.#kept?.laid ?? null });
    } catch (failure) {
      const text = (failure as Error).message;
      return this.#refuse(digest, { code: "KERB-TWIN-KEEP", path: "", text }, document, true);
    }
    this.#trial = undefined;
    this.#refused = undefined;
    await this.#say();
    await this.#try();
  }

  // ------------------------------------------------------------------------------------------------ what is tried

  /** Tries what is staged, unless something else is still watched: then when that is settled. */
  async #try(): Promise<void> {
    const kept = this.#kept;
    if (kept?.taken.state !== "staged" || this.#laid === undefined || this.#laid.isPending) return;
    const { document, tries } = kept.taken;
    if (tries >= triesMax)
      return this.#end("rolledback", [fault("KERB-TWIN-CRASH", `it was begun ${tries} times`)]);
    await this.#keep({ ...kept, taken: { ...kept.taken, tries: tries + 1 } });
    const { config } = this.#options;
    try {
      const watchMs = this.#twin?.watchMs;
      const order = { by: document.by, how: "twin" as const, document };
      const applied = await config.apply(watchMs === undefined ? order : { ...order, watchMs });
      this.#trial = applied.generation;
    } catch (failure) {
      await this.#notTried(failure as Error);
    }
  }

  async #notTried(failure: Error): Promise<void> {
    // Somebody on site was first, or the gateway stops; it is not the document's fault.
    if (this.#isStopped || (failure instanceof ChangeRefused && failure.code === "KERB-CFG-PENDING")) {
      const kept = this.#kept!;
      await this.#keep({ ...kept, taken: { ...kept.taken, tries: kept.taken.tries - 1 } });
    } else if (failure instanceof Misfit) await this.#end("rejected", told(failure.mistakes));
    else if (failure instanceof ChangeRefused)
      await this.#end("rejected", [fault(failure.code, failure.message)]);
    else await this.#end("rejected", [fault("KERB-TWIN-FAILED", failure.message)]);
  }

  /** What runs is another one, or is settled. */
  async #moved(laid: Laid): Promise<void> {
    const isFirst = this.#laid === undefined;
    this.#laid = laid;
    const kept = this.#kept;
    if (kept === undefined) return isFirst && this.#twin !== undefined ? this.#publish() : undefined;
    const { document, state } = kept.taken;
    const { overlay, reverted } = laid;
    if (laid.isPending) return;
    await this.#endOlder(laid);
    const isMine = isSameVersion(overlay?.document, document) && overlay?.mistakes === undefined;
    if (state !== "staged") await this.#compare(kept, laid, isMine);
    else if (isMine) await this.#end("applied", []);
    else if (this.#trial !== undefined && reverted?.generation === this.#trial)
      await this.#end("rolledback", [backOf(reverted)]);
    else if (this.#trial !== undefined)
      await this.#end("rolledback", [
        fault("KERB-TWIN-LOCAL", `generation ${laid.generation} runs, by ${laid.by}`),
      ]);
    else await this.#try();
    if (isFirst || !isSameVersion(this.#told, this.#standing().running)) this.#publish();
  }

  async #endOlder({ overlay, reverted }: Laid): Promise<void> {
    if (this.#older === undefined) return;
    const { document, generation } = this.#older;
    this.#older = undefined;
    const { ver, hash, by } = document;
    const isKept = isSameVersion(overlay?.document, document);
    const { code, text } = backOf(reverted?.generation === generation ? reverted : undefined);
    const why = isKept ? {} : { code, reason: text };
    await this.#options.record({ ver, hash, by, state: isKept ? "applied" : "rolledback", ...why });
  }

  /** What was settled may not run any more, or again: the files have changed, or somebody on site went back. */
  async #compare(
    { taken, laid: kept }: KeptTwin,
    { overlay, generation, by }: Laid,
    isMine: boolean,
  ): Promise<void> {
    const { document, state } = taken;
    const isOurs = isSameVersion(overlay?.document, document);
    if (isMine && state !== "applied") return this.#end("applied", []);
    if (isOurs && overlay?.mistakes !== undefined && state === "applied")
      return this.#end("rejected", told(overlay.mistakes));
    if (isSameVersion(overlay?.document, kept ?? undefined)) return undefined;
    const text = `generation ${generation} runs, by ${by}`;
    if (state === "applied") return this.#end("rolledback", [fault("KERB-TWIN-LOCAL", text)]);
    return this.#keep({ v: 1, taken, laid: overlay?.document ?? null });
  }

  /** What was taken has come to a state that stays; what lies over the files is what runs. */
  async #end(state: TwinState, errors: HaveError[]): Promise<void> {
    const kept = this.#kept!;
    const laid = this.#laid === undefined ? kept.laid : (this.#laid.overlay?.document ?? null);
    this.#trial = undefined;
    const taken = { ...kept.taken, state, errors, at: Date.now() };
    // Told even where the disk does not take it: a start then comes to the same again.
    await this.#keep({ v: 1, taken, laid }).catch((failure: Error) => {
      this.#kept = { v: 1, taken, laid };
      this.#options.log(`the twin cannot be kept: ${failure.message}`);
    });
    this.#refused = undefined;
    await this.#say();
  }

  // ------------------------------------------------------------------------------------------------ what is told

  async #say(): Promise<void> {
    const { document, state, errors } = this.#kept!.taken;
    const { ver, hash, by } = document;
    const [first] = errors;
    const why = first === undefined ? {} : { code: first.code, reason: first.text };
    await this.#options.record({ ver, hash, state, by, ...why });
    this.#publish();
  }

  #publish(): void {
    const { by: _by, runs: _runs, allow: _allow, misfit: _misfit, ...have } = this.#standing();
    this.#told = have.running;
    this.#options.publish({ v: 1, gw: this.#options.gateway, ...have });
  }

  #standing(): TwinStanding {
    const { overlay } = this.#laid ?? {};
    const { document: laid, changes } = overlay ?? {};
    const runs = changes === undefined ? undefined : laid;
    const running = runs === undefined ? filesAlone : { ver: runs.ver, hash: runs.hash };
    const { allow } = this.#twin ?? {};
    return {
      ...this.#newest(),
      running,
      ...(overlay?.mistakes === undefined ? {} : { misfit: true as const }),
      ...(runs === undefined || changes === undefined ? {} : { runs: { by: runs.by, changes } }),
      ...(allow === undefined ? {} : { allow }),
    };
  }

  /** The newest document that came, genuine or not. */
  #newest(): Pick<TwinStanding, "ver" | "hash" | "state" | "errors" | "at" | "by"> {
    if (this.#refused !== undefined) {
      const { version, errors, at } = this.#refused;
      return { ...version, state: "rejected", errors, at };
    }
    if (this.#kept === undefined) return { ...filesAlone, state: "applied", errors: [], at: Date.now() };
    const { document, state, errors, at } = this.#kept.taken;
    return { ver: document.ver, hash: document.hash, state, errors, at, by: document.by };
  }
}

function fault(code: string, text: string): HaveError {
  return { code, path: "", text };
}

/** Why something was taken back; by hand, where somebody is named. */
function backOf(reverted: Laid["reverted"]): HaveError {
  const { by, reason = "another configuration runs" } = reverted ?? {};
  return fault(by === undefined ? "KERB-TWIN-HARM" : "KERB-TWIN-LOCAL", reason);
}

/** `ver` only rises; whoever repeats or goes back is answered with what runs. */
function orderMistake({ ver }: TwinDocument, known: TwinDocument | undefined): TwinMistake | undefined {
  if (known === undefined || ver > known.ver) return undefined;
  return ver < known.ver
    ? { code: "KERB-TWIN-OLD", path: "ver", text: `version ${known.ver} was taken before` }
    : { code: "KERB-TWIN-VERSION", path: "ver", text: `version ${ver} was taken with another hash` };
}
