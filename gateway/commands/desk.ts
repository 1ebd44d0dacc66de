import { createHash } from "node:crypto";
import { setImmediate as immediate } from "node:timers/promises";
import { Bench, type DeskOptions, type Reply } from "./bench.ts";
import { type Around, checkContent, checkOrigin, type Plan } from "./checks.ts";
import {
  argsDigest,
  type Command,
  type CommandContent,
  type CommandMode,
  type CommandValue,
  contentDigest,
  contentMistake,
  isRefusal,
  lifeMsMax,
  localIssuer,
  newCommandId,
  type Refusal,
  scheduleIssuer,
} from "./command.ts";
import { aboutCommand, runJob } from "./execution.ts";
import type { Happening } from "./journal-lines.ts";
import { Journal } from "./journal.ts";
import { Leases, leasesMax } from "./leases.ts";
import { type Known, knownMax, Memory } from "./memory.ts";
import type { Policy } from "./policy.ts";
import { DeviceQueue } from "./queue.ts";
import { Refusals } from "./refusals.ts";
import { Resolver, stateAfterRestart } from "./resolver.ts";
import { Scheduling } from "./scheduling.ts";
import { type CommandSource, type CommandState, isFinal } from "./state.ts";
import { armMs, ArmTokens, nonceMs, Nonces, Rate } from "./tokens.ts";

/** What somebody on site orders; `by` is the user as the box knows it. */
export interface LocalOrder {
  dev: string;
  args: Record<string, CommandValue>;
  by: string;
  mode?: CommandMode;
  arm?: string;
  leaseMs?: number;
  reason?: string;
}

const sourceOf = (issuer: string): CommandSource =>
  issuer === localIssuer ? "local" : issuer === scheduleIssuer ? "schedule" : "ioc";

/** On the record: nobody has signed, and the socket does not say who is at its other end. */
const claimedOf = ({ source }: Pick<CommandState, "source">) => (source === "local" ? { claimed: true } : {});

/** Nobody on site is called like the schedules. */
function localName(user: string): string {
  const name = `${user === "" ? "nobody" : user}@${localIssuer}`;
  return name === scheduleIssuer ? `user-${name}` : name;
}

/** Commands on their way to one device, and at all. */
const waitingMax = 16;
const openMax = 256;
const stopMs = 5000;

/**
 * The gateway's desk for commands: checks each, puts it on the record, has it executed once, tells every state of it,
 * answers a repeat from memory, returns leases and finds out what became of what a restart has cut through.
 */
export class CommandDesk {
  policy: Policy;
  readonly #bench: Bench;
  readonly #leases: Leases;
  readonly #resolver: Resolver;
  readonly schedules: Scheduling;
  readonly #tokens = new ArmTokens();
  readonly #nonces = new Nonces();
  readonly #rate = new Rate();
  readonly #refusals: Refusals;
  /** Accepted or refused, and not yet (or never) in the memory that comes from the journal. */
  readonly #underWay = new Map<string, Pick<Known, "digest" | "state">>();

  private constructor(bench: Bench, policy: Policy) {
    this.#bench = bench;
    this.policy = policy;
    this.#resolver = new Resolver(bench, () => this.#leases.look());
    this.#leases = new Leases(bench, this.#resolver.before.bind(this.#resolver));
    this.schedules = new Scheduling(bench, this.#resolver.before.bind(this.#resolver), (...order) =>
      this.#scheduled(...order),
    );
    bench.scheduled = this.schedules.valueOf.bind(this.schedules);
    const { budgets = {} } = bench.options;
    this.#refusals = new Refusals(budgets, (codes) => bench.journal.note({ ev: "suppressed", codes }));
  }

  /** Reads the journal and takes up what was under way. Rejects where the folder cannot be read or written. */
  static async open(options: DeskOptions, policy: Policy): Promise<CommandDesk> {
    const memory = new Memory();
    const kept = { each: memory.take.bind(memory), standing: memory.standing.bind(memory) };
    const opensUnrecorded = (error: unknown): boolean => {
      if (memory.leases.length === 0) return false;
      options.log?.(`nothing goes on the record: leases are returned, commands refused: ${String(error)}`);
      return true;
    };
    const journal = await Journal.open({ ...options, ...kept, opensUnrecorded }, { gw: options.gateway });
    const desk = new CommandDesk(new Bench(options, journal, memory, new DeviceQueue()), policy);
    await desk.#takeUp();
    return desk;
  }

  /**
   * A command from the IOC. Resolves with its result (of one that is refused, or unknown, with that), which has been told
   * by then. Never rejects.
   */
  async take(bytes: Uint8Array, topic: string, reply?: Reply): Promise<CommandState> {
    const origin = checkOrigin(bytes, topic, this.#around());
    if (!isRefusal(origin)) return this.#judge(origin.command, origin.issuer, origin.digest, reply);
    return this.#turnAway(bytes, topic, origin, reply);
  }

  /** A record that is about no command: the memory passes it by. */
  async record(happening: Happening): Promise<void> {
    await this.#bench.journal.append(happening);
  }

  /** A command that the broker had kept: nobody knows for how long, so it is not looked into. */
  refuseKept(bytes: Uint8Array, topic: string, reply?: Reply): Promise<CommandState> {
    const reason = "the broker had kept it";
    return this.#turnAway(bytes, topic, { code: "KERB-CMD-RETAINED", reason }, reply);
  }

  async #turnAway(
    bytes: Uint8Array,
    topic: string,
    { code, reason, claims }: Refusal & { claims?: Command },
    reply: Reply | undefined,
  ): Promise<CommandState> {
    // Whoever has not signed must not seem to answer for a command that somebody has.
    const isTaken = claims !== undefined && this.#knownOf(claims.id) !== undefined;
    const state = this.#bench.state({
      id: claims === undefined || isTaken ? "" : claims.id,
      dev: claims?.dev ?? "",
      state: "rejected",
      code,
      reason,
      unsigned: true,
      source: "ioc",
    });
    if (!this.#refusals.take("unsigned", code)) return state;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const claimed = claims === undefined ? {} : { id: claims.id, dev: claims.dev, by: claims.by };
    const told = {
      ev: "refused",
      code,
      reason,
      topic: topic.slice(0, 200),
      bytes: bytes.length,
      sha256,
      ...claimed,
    };
    return this.#record(told, state, reply, false);
  }

  /** What a schedule wants of a point, in the turn of its device: that is this one's, and not waited for. */
  #scheduled(dev: string, point: string, value: CommandValue): Promise<CommandState> {
    return this.#own(scheduleIssuer, scheduleIssuer, { dev, args: { [point]: value } });
  }

  /** An order of somebody on site, who has no signature: the gateway's own socket has let him in. */
  async local({ by, ...order }: LocalOrder): Promise<CommandState> {
    const user = by
      .toLowerCase()
      .replaceAll(/[^a-z0-9._-]/g, "-")
      .slice(0, 64);
    return this.#own(localIssuer, localName(user), order);
  }

  /** A command that is made here, and that nobody signs. */
  async #own(
    issuer: string,
    by: string,
    { dev, args, mode = "execute", arm, leaseMs, reason }: Omit<LocalOrder, "by">,
  ): Promise<CommandState> {
    const { gateway: gw, now } = this.#bench.options;
    const issued = Math.round(now().wallMs);
    const content: CommandContent = {
      v: 1,
      id: newCommandId(issued),
      gw,
      dev,
      op: "set",
      args,
      mode,
      ...(arm === undefined ? {} : { arm }),
      notAfter: issued + lifeMsMax,
      issued,
      by,
      role: localIssuer,
      ...(leaseMs === undefined ? {} : { lease: leaseMs }),
      ...(reason === undefined ? {} : { reason }),
    };
    const mistake = contentMistake(content);
    if (mistake !== undefined) return this.#refuse(content, issuer, "", mistake, undefined);
    return this.#judge(content, issuer, contentDigest(content), undefined);
  }

  /** Something has changed about a device: what waits for it is tried at once. */
  deviceChanged(device: string): void {
    this.#resolver.wake(device);
    this.#leases.wake(device);
    this.schedules.wake(device);
  }

  /** A nonce for the next command of an issuer, good for 60 s, while the clock is not proved. */
  nonce(issuer: string): string {
    return this.#nonces.issue(issuer, this.#bench.options.now().monoMs);
  }

  /** The points that go back by themselves, and after how many ms; and the commands of which nobody knows. */
  get pending(): {
    leases: { dev: string; point: string; command: string; leftMs: number }[];
    unknown: string[];
  } {
    const leases = this.#bench.memory.leases.map((lease) => ({
      dev: lease.dev,
      point: lease.point,
      command: lease.id,
      leftMs: this.#leases.leftMs(lease),
    }));
    return { leases, unknown: this.#resolver.ids };
  }

  /** Takes nothing more, waits a while for what is under way, and leaves the rest to the next start. */
  async close(): Promise<void> {
    this.#bench.isStopping = true;
    this.#leases.stop();
    this.#resolver.stop();
    this.schedules.stop();
    this.#refusals.flush();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, stopMs);
    });
    await Promise.race([this.#bench.queue.idle(), patience]);
    clearTimeout(timer);
    this.#bench.abort();
    // What was ended by that, and what was told, goes on the record.
    await immediate();
    await this.#bench.journal.close();
  }

  #around(): Around {
    const { gateway, city, facts, now } = this.#bench.options;
    const [tokens, nonces, rate] = [this.#tokens, this.#nonces, this.#rate];
    const untilChangeMs = this.schedules.untilChangeMs.bind(this.schedules);
    return { gateway, city, policy: this.policy, facts, now: now(), tokens, nonces, rate, untilChangeMs };
  }

  #knownOf(id: string): Pick<Known, "digest" | "state"> | undefined {
    return this.#underWay.get(id) ?? this.#bench.memory.known(id);
  }

  async #judge(
    content: CommandContent | Command,
    issuer: string,
    digest: string,
    reply: Reply | undefined,
  ): Promise<CommandState> {
    const known = this.#knownOf(content.id);
    if (known?.digest === digest) return this.#again(known.state, reply);
    const refuse = (refusal: Refusal) => this.#refuse(content, issuer, digest, refusal, reply);
    if (known !== undefined)
      return refuse({ code: "KERB-CMD-DUPLICATE", reason: "this id was another command's" });
    if (this.#bench.isStopping) return refuse({ code: "KERB-CMD-STOPPING", reason: "it takes no more" });
    const around = this.#around();
    const plan = checkContent(content, issuer, around);
    const { monoMs } = around.now;
    if (!isRefusal(plan) || plan.isFresh === true) {
      // One that is too many must not keep the next one out.
      const isCounted = !isRefusal(plan) || plan.code !== "KERB-CMD-RATE";
      if (isCounted && issuer !== scheduleIssuer) this.#rate.add(issuer, monoMs);
      if (content.nonce !== undefined) this.#nonces.use(content.nonce);
    }
    if (isRefusal(plan)) return refuse({ code: plan.code, reason: plan.reason });
    const busy = content.mode === "abort" || issuer === scheduleIssuer ? undefined : this.#busy(content.dev);
    if (busy !== undefined) return refuse({ code: "KERB-CMD-BUSY", reason: busy });
    if (content.arm !== undefined) this.#tokens.use(content.arm);
    return content.mode === "arm" || content.mode === "abort"
      ? this.#arm(content, issuer, digest, reply)
      : this.#run(content, issuer, digest, plan, reply);
  }

  /** Everything has an end: what is too much; undefined: there is room. */
  #busy(device: string): string | undefined {
    const { queue, memory } = this.#bench;
    if (queue.count(device) >= waitingMax) return `${waitingMax} wait for ${device}`;
    if (queue.total >= openMax) return `${openMax} wait`;
    if (memory.leases.length >= leasesMax) return `${leasesMax} points are leased`;
    return this.#resolver.ids.length >= openMax ? `of ${openMax} nobody knows what became` : undefined;
  }

  /** The first half of two steps, or its end: nothing goes to a device. */
  async #arm(
    content: CommandContent,
    issuer: string,
    digest: string,
    reply: Reply | undefined,
  ): Promise<CommandState> {
    const { id, by, mode } = content;
    const about = aboutCommand(content, sourceOf(issuer));
    this.#underWay.set(id, { digest, state: this.#bench.state({ ...about, state: "accepted" }) });
    let state = this.#bench.state({ ...about, state: "done" });
    let isRecorded = false;
    try {
      await this.#accept(content, digest, state, undefined);
      isRecorded = true;
      if (mode === "arm") {
        const { monoMs } = this.#bench.options.now();
        const arm = this.#tokens.arm(id, { issuer, by, digest: argsDigest(content) }, monoMs);
        state = { ...state, arm, armMs };
      }
    } catch (error) {
      state = { ...state, state: "rejected", code: "KERB-CMD-JOURNAL", reason: String(error) };
    }
    return this.#end(await this.#bench.result(state, reply, isRecorded ? undefined : digest));
  }

  async #run(
    content: CommandContent,
    issuer: string,
    digest: string,
    { points, lifeMs }: Plan,
    reply: Reply | undefined,
  ): Promise<CommandState> {
    const { id, dev } = content;
    const source = sourceOf(issuer);
    const state = this.#bench.state({ ...aboutCommand(content, source), state: "accepted" });
    this.#underWay.set(id, { digest, state });
    const moved = (next: CommandState) => {
      this.#underWay.set(id, { digest, state: next });
      // Nobody waits for it: how it ends is told, and that is all.
      if (source !== "schedule") this.#bench.tell(next, reply);
    };
    const accepted = this.#accept(content, digest, state, moved);
    accepted.catch(() => {});
    const untilMs = this.#bench.options.now().monoMs + lifeMs;
    const settle = this.#resolver.before.bind(this.#resolver);
    const job = { content, digest, source, points, untilMs, settle, accepted, reply, moved };
    const run = () => runJob(this.#bench, job);
    const result = await (source === "schedule" ? run() : this.#bench.queue.run(dev, run));
    this.#end(result);
    if (result.state === "unknown") this.#resolver.add(result);
    this.#leases.look();
    return result;
  }

  async #accept(
    content: CommandContent,
    digest: string,
    state: CommandState,
    moved: ((state: CommandState) => void) | undefined,
  ): Promise<void> {
    await this.#bench.journal.append({ ev: "accepted", digest, state, cmd: content, ...claimedOf(state) });
    moved?.(state);
  }

  /** From here on the memory knows it, unless its record has failed. */
  #end(state: CommandState): CommandState {
    const known = this.#underWay.get(state.id);
    if (state.unrecorded !== true) this.#underWay.delete(state.id);
    else if (known !== undefined) this.#underWay.set(state.id, { ...known, state });
    for (const [id, { state: kept }] of this.#underWay) {
      if (this.#underWay.size <= knownMax) break;
      if (isFinal(kept)) this.#underWay.delete(id);
    }
    return state;
  }

  /** The stored answer of a command that has come before. */
  async #again(known: CommandState, reply: Reply | undefined): Promise<CommandState> {
    const token = this.#tokens.of(known.id, this.#bench.options.now().monoMs);
    const state: CommandState = { ...known, ...token, replay: true };
    if (!this.#refusals.take("answer", "replay")) return state;
    if (!this.#refusals.take("replay", "replay")) {
      this.#bench.tell(state, reply);
      return state;
    }
    return this.#record({ ev: "replay", id: known.id }, state, reply, false);
  }

  /** Refuses a command whose issuer is known: it is remembered, unless its id is another one's. */
  async #refuse(
    content: CommandContent,
    issuer: string,
    digest: string,
    { code, reason }: Refusal,
    reply: Reply | undefined,
  ): Promise<CommandState> {
    const about = aboutCommand(content, sourceOf(issuer));
    const isNew = code !== "KERB-CMD-DUPLICATE" && digest !== "";
    const nonce = code === "KERB-CMD-CLOCK" ? { nonce: this.nonce(issuer), nonceMs } : {};
    const state = this.#bench.state({ ...about, state: "rejected", code, reason, ...nonce });
    const { nonce: _, ...kept } = state;
    if (isNew) this.#underWay.set(state.id, { digest, state: kept });
    if (!this.#refusals.take("signed", code)) {
      const unrecorded = { unrecorded: true } as const;
      if (isNew) this.#end({ ...kept, ...unrecorded });
      this.#bench.tell({ ...state, ...unrecorded }, reply);
      return { ...state, ...unrecorded };
    }
    // It may still be good for another command: a token in a file that others may read would be no token.
    const { arm: __, nonce: ___, ...cmd } = content;
    const claimed = claimedOf(about);
    const told = { ev: "refused", digest, code, reason, cmd, ...claimed, ...(isNew ? { state: kept } : {}) };
    const ended = await this.#record(told, state, reply, isNew);
    const { nonce: ____, ...remembered } = ended;
    if (isNew) this.#end(remembered);
    return ended;
  }

  /** Puts something on the record, then tells the state. */
  async #record(
    happening: Happening,
    state: CommandState,
    reply: Reply | undefined,
    isKept: boolean,
  ): Promise<CommandState> {
    let told = state;
    try {
      await this.#bench.journal.append(happening);
    } catch (error) {
      this.#bench.log(`a command that was refused is not on the record: ${String(error)}`);
      told = { ...state, unrecorded: true };
    }
    // The next start would not know of it, and might execute what was told to be refused.
    if (told !== state && state.code === "KERB-CMD-STOPPING") return told;
    this.#bench.tell(told, reply, isKept && told === state);
    return told;
  }

  async #takeUp(): Promise<void> {
    const { memory } = this.#bench;
    for (const state of memory.untold) this.#bench.tell(state, undefined, true);
    for (const known of memory.open) {
      const { state } = known;
      const now =
        state.state === "unknown" ? state : await this.#bench.result(stateAfterRestart(this.#bench, known));
      if (now.state === "unknown") this.#resolver.add(now);
      else if (now.unrecorded === true) this.#underWay.set(now.id, { digest: known.digest, state: now });
    }
    this.#leases.look();
    this.schedules.start();
  }
}
