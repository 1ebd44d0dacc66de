import { monotonicMs } from "../clock.ts";
import { askedOf, settled, withNeeded } from "../profiles/derived.ts";
import { type Answer, type Connection, DeviceError, type Value } from "../driver.ts";
import { quality, type ReadingValue } from "../event.ts";
import { within } from "./identify.ts";
import { inverse, rawOf, type Seen, shows } from "./inverse.ts";
import { Line } from "./line.ts";
import type {
  HostDevice,
  HostPoint,
  Shown,
  ShownRequest,
  Unwritable,
  WriteOutcome,
  WriteRefusal,
  WriteRequest,
} from "./messages.ts";
import { Normaliser } from "./normalise.ts";
import { Pause } from "./pause.ts";
import type { Push } from "./push.ts";

/** Pauses between the looks at what has become of a write; of what the device tells by itself they cost nothing. */
const lookFirstMs = 50;
const lookMostMs = 500;
const heardEveryMs = 20;
/** A look that is older says nothing of the end. */
const lookOldMs = 3 * lookMostMs;
/** Whatever was asked, a write and a look may take this long, and not longer than that. */
const callLeastMs = 1000;
const callMostMs = 15_000;
const timeoutMostMs = 300_000;
const shownTimeoutMs = 10_000;
/** What a device has told by itself is as good as read for this long, where the profile has no `silence`. */
const freshMs = 60_000;
/** The device has said no, or never got to hear of it. */
const surelyNot: readonly string[] = ["rejected", "unsupported", "denied", "refused", "busy"];
const nothing: Answer = { value: null, status: "bad", code: "unheard", reason: "not told yet" };

/** What writing needs of the device's loop. */
export interface WritePlace {
  readonly device: Pick<HostDevice, "firstIndex" | "silenceMs" | "id" | "localOverride">;
  /** Aborts when the host ends. */
  readonly ending: AbortSignal;
  /** The points that hold for the firmware. */
  points(): readonly HostPoint[];
  verdict(): { writable: boolean; unwritable?: Unwritable };
  connection(): Connection<unknown> | undefined;
  push(): Push | undefined;
  /** Alone on the connection, ahead of all that is read; a failure costs the connection. */
  alone<Result>(work: () => Promise<Result>, urgent: AbortSignal): Promise<Result>;
  /** The connection was lost: another one is wanted now, and not when the next poll is due. */
  reopen(): void;
}

/** What is looked at together. */
interface Sight {
  readonly untilMs: number;
  readonly points: readonly HostPoint[];
  readonly normaliser: Normaliser;
}

/** One write on its way. */
interface Attempt extends WriteRequest, Sight {
  readonly signal: AbortSignal;
  /** It must have begun before this. */
  readonly late: AbortSignal;
  readonly target: HostPoint;
  /** What is looked at: the point, or where it can be seen. */
  readonly shownAt: string;
  before?: ReadingValue;
  /** What the device was told, once it may have been. */
  sent?: { raw: Value; atMs: number };
  writtenMs?: number;
  /** The device cannot be asked: what it tells is waited for. */
  isHeard?: boolean;
  /** Why nobody knows whether the device has taken it. */
  doubt?: DeviceError | undefined;
  /** What the last look found; undefined: nothing. */
  found?: { value: ReadingValue; atMs: number; isHeard: boolean } | undefined;
}

const failed = (code: WriteRefusal | Unwritable["code"], reason: string): WriteOutcome => ({
  state: "failed",
  code,
  reason,
});

const noSuchPoint = ({ device }: WritePlace, point: string): WriteOutcome =>
  failed("no-such-point", `${device.id} has no point "${point}"`);

const nothingShown = ({ code, reason }: Pick<WriteOutcome, "code" | "reason"> = {}): Shown => ({
  value: null,
  ...(code === undefined ? {} : { code }),
  ...(reason === undefined ? {} : { reason }),
});

function asDeviceError(error: unknown): DeviceError {
  return error instanceof DeviceError ? error : new DeviceError("garbage", String(error), { cause: error });
}

/** Writes the points of one device: one after the other, each once and read back. */
export class Writing {
  readonly #place: WritePlace;
  /** A read-back must not see the next write. */
  readonly #one = new Line();
  /** When the device was last told something that is seen at a point: what it told before that is no evidence. */
  readonly #toldMs = new Map<string, number>();

  constructor(place: WritePlace) {
    this.#place = place;
  }

  /** Never rejects. "failed" only where it is sure: whatever ended it, what may have been written is "unknown". */
  async write(request: WriteRequest): Promise<WriteOutcome> {
    const timeoutMs = Math.min(Math.max(1, request.timeoutMs), timeoutMostMs);
    const untilMs = performance.now() + timeoutMs;
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), timeoutMs);
    const late = new AbortController();
    const lateMs = Math.min(timeoutMs, (request.beginByMs ?? Infinity) - monotonicMs());
    const lateTimer = setTimeout(() => late.abort(), Math.max(0, lateMs));
    let leave: (() => void) | undefined;
    try {
      leave = await this.#one.acquire({ isSuspect: false, aliveMs: 0, signal: late.signal });
      return await this.#write({ ...request, untilMs, signal: over.signal, late: late.signal });
    } catch (error) {
      return leave === undefined
        ? failed("no-turn", "an earlier write to the device took until the time was over")
        : failed("internal", String(error));
    } finally {
      leave?.();
      clearTimeout(timer);
      clearTimeout(lateTimer);
    }
  }

  /** What came of a write, found out later: read now, or heard since. Never rejects. */
  async shown({ point, value }: ShownRequest): Promise<Shown> {
    const signal = AbortSignal.timeout(shownTimeoutMs);
    const untilMs = performance.now() + shownTimeoutMs;
    let leave: (() => void) | undefined;
    try {
      leave = await this.#one.acquire({ isSuspect: false, aliveMs: 0, signal });
      const target = this.#place.points().find(({ name }) => name === point);
      const refused = target === undefined ? noSuchPoint(this.#place, point) : this.#refusal(target);
      if (target === undefined || refused !== undefined) return nothingShown(refused);
      const shownAt = target.write?.readBack ?? point;
      const sight = { ...this.#sight([shownAt]), untilMs };
      const fromMs = this.#toldMs.get(shownAt) ?? -Infinity;
      const seen = await this.#place.alone(() => this.#look(sight, fromMs), signal);
      // Who answers after a reconnect may be somebody else.
      const changed = this.#refusal(target);
      if (changed !== undefined) return nothingShown(changed);
      return this.#evidence(sight, seen, { point, shownAt, value });
    } catch (error) {
      const { code, message } = asDeviceError(error);
      if (code !== "closed") this.#place.reopen();
      return { value: null, code, reason: message };
    } finally {
      leave?.();
    }
  }

  #evidence(
    sight: Sight,
    seen: Seen & { isHeard: boolean },
    about: { point: string; value: ShownRequest["value"] | undefined; shownAt: string },
  ): Shown {
    const { point, shownAt, value } = about;
    const position = positionOf(sight, shownAt);
    if (position < 0) return nothingShown(noSuchPoint(this.#place, shownAt));
    const one = sight.normaliser.single(position, seen.answers);
    const isFresh = sight.normaliser
      .sourcesOf(position)
      .every((source) => this.#isFresh(sight, seen, source));
    if (one.quality !== 0 || !isFresh) {
      const why = one.detail?.reason ?? one.detail?.code ?? "it has told nothing of late";
      return nothingShown(failed("unreadable", `${shownAt} is not known: ${why}`));
    }
    if (value === undefined) return { value: one.value };
    if (shownAt !== point) return { value: one.value, isSame: one.value === value };
    const made = inverse(seen, position, value);
    return { value: one.value, isSame: "raw" in made && shows(seen, position, value, made.raw) };
  }

  #sight(names: readonly string[]): Pick<Sight, "points" | "normaliser"> {
    const all = this.#place.points();
    const wanted = all.filter(({ name }) => names.includes(name));
    const points = settled(withNeeded(all, wanted));
    return { points, normaliser: new Normaliser(points, this.#place.device.firstIndex) };
  }

  async #write(request: WriteRequest & Pick<Attempt, "untilMs" | "signal" | "late">): Promise<WriteOutcome> {
    const target = this.#place.points().find(({ name }) => name === request.point);
    if (target === undefined) return noSuchPoint(this.#place, request.point);
    const refused = this.#refusal(target);
    if (refused !== undefined) return refused;
    const shownAt = target.write?.readBack ?? target.name;
    const { localOverride } = this.#place.device;
    const names = [
      target.name,
      shownAt,
      ...(target.write?.interlock ?? []).map(({ point }) => point),
      ...(localOverride === undefined ? [] : [localOverride.point]),
    ];
    const attempt: Attempt = { ...request, ...this.#sight(names), target, shownAt };
    let outcome: WriteOutcome | undefined;
    try {
      outcome = await this.#place.alone(() => this.#turn(attempt), request.late);
    } catch (error) {
      if (attempt.sent === undefined) return this.#notSent(error, request.late);
      attempt.doubt = attempt.writtenMs === undefined ? asDeviceError(error) : undefined;
      this.#place.reopen();
    }
    outcome ??= await this.#follow(attempt).catch((error: unknown): WriteOutcome => ({
      state: "unknown",
      code: "internal",
      reason: String(error),
    }));
    return told(attempt, outcome);
  }

  /** Why the device must not or cannot be written to now; asked again when its turn has come. */
  #refusal({ name, write, derive }: HostPoint): WriteOutcome | undefined {
    const { writable, unwritable } = this.#place.verdict();
    const connection = this.#place.connection();
    const { id } = this.#place.device;
    if (write === undefined || derive !== undefined)
      return failed("not-writable", `the profile does not let ${name} be written`);
    if (unwritable !== undefined) return failed(unwritable.code, unwritable.reason);
    if (connection === undefined) return failed("not-connected", `${id} is not connected`);
    if (!writable) return failed("unidentified", `it is not known yet which unit ${id} is`);
    if (connection.write === undefined) return failed("not-writable", `${id} has no way to be written to`);
    return undefined;
  }

  #notSent(error: unknown, late: AbortSignal): WriteOutcome {
    const { code, message } = asDeviceError(error);
    if (late.aborted && code === "aborted")
      return failed("no-turn", "the connection was taken by others until the time was over");
    if (code !== "closed") this.#place.reopen();
    return { state: "failed", code, reason: `nothing was written: ${message}` };
  }

  /** The part that nobody may come between: look, write, look. */
  async #turn(attempt: Attempt): Promise<WriteOutcome | undefined> {
    const { target, value, late, beginByMs = Infinity } = attempt;
    const connection = this.#place.connection();
    const refused = this.#refusal(target);
    if (refused !== undefined || connection?.write === undefined)
      return refused ?? failed("not-connected", `${this.#place.device.id} is not connected`);
    const seen = await this.#look(attempt);
    attempt.isHeard = seen.isHeard;
    const locked = this.#override(attempt, seen) ?? this.#interlock(attempt, seen);
    if (locked !== undefined) return locked;
    const shown = this.#shown(attempt, seen);
    if (shown === undefined) return this.#unreadable(attempt, seen);
    attempt.before = shown;
    const made = inverse(seen, positionOf(attempt, target.name), value);
    if ("reason" in made) return failed("value", made.reason);
    if (attempt.isRefresh === true && !this.#shows(attempt, seen, made.raw))
      return failed(
        "lapsed",
        `${attempt.shownAt} is ${String(shown)}: the device has let go of ${String(value)}`,
      );
    // A process that was stopped meanwhile has not seen its timers end.
    if (late.aborted || monotonicMs() >= beginByMs)
      return failed("no-turn", "the time was over before it could be written");
    attempt.sent = { raw: made.raw, atMs: performance.now() };
    this.#toldMs.set(attempt.shownAt, attempt.sent.atMs);
    try {
      await this.#call(attempt, (stop) => connection.write!(target, made.raw, stop));
    } catch (error) {
      if (!(error instanceof DeviceError) || !surelyNot.includes(error.code)) throw error;
      return { state: "failed", code: error.code, reason: error.message };
    }
    attempt.writtenMs = Date.now();
    return (await this.#isThere(attempt)) ? { state: "done" } : undefined;
  }

  /** Looks again and again until the value is there or the time is over. */
  async #follow(attempt: Attempt): Promise<WriteOutcome> {
    const { signal, untilMs } = attempt;
    const { ending } = this.#place;
    const pause = new Pause();
    const wake = () => pause.wake();
    for (const one of [signal, ending]) one.addEventListener("abort", wake);
    try {
      for (let waitMs = lookFirstMs; ; waitMs = Math.min(2 * waitMs, lookMostMs)) {
        const leftMs = untilMs - performance.now();
        if (leftMs <= 0 || signal.aborted || ending.aborted) break;
        await pause.sleep(Math.min(leftMs, attempt.isHeard === true ? heardEveryMs : waitMs), signal);
        if (await this.#lookAgain(attempt)) return { state: "done" };
      }
    } finally {
      for (const one of [signal, ending]) one.removeEventListener("abort", wake);
    }
    return this.#verdict(attempt);
  }

  async #lookAgain(attempt: Attempt): Promise<boolean> {
    const { ending } = this.#place;
    if (this.#place.connection() === undefined || ending.aborted) {
      attempt.found = undefined;
      return false;
    }
    try {
      const isThere = await this.#place.alone(() => this.#isThere(attempt), attempt.signal);
      // Who answers after a reconnect may be somebody else.
      if (this.#place.verdict().writable) return isThere;
      attempt.found = undefined;
      return false;
    } catch {
      // A turn that did not come says nothing of the device.
      if (attempt.signal.aborted) return false;
      attempt.found = undefined;
      this.#place.reopen();
      return false;
    }
  }

  #verdict({ doubt, found, shownAt, value }: Attempt): WriteOutcome {
    if (doubt !== undefined) return { state: "unknown", code: doubt.code, reason: doubt.message };
    const taken = `the device took ${String(value)}`;
    const unknown = (why: string): WriteOutcome => ({
      state: "unknown",
      code: "not-read-back",
      reason: `${taken}, ${why}`,
    });
    if (this.#place.ending.aborted) return unknown("and the host was ended before it could be read back");
    const isNow = found !== undefined && performance.now() - found.atMs < lookOldMs;
    if (!isNow) return unknown(`and ${shownAt} could not be read after that`);
    const shown = `${shownAt} is ${String(found.value)}`;
    // It may have been on its way before the device heard of the write.
    if (found.isHeard) return unknown(`and has only told since that ${shown}`);
    return failed("not-as-commanded", `${taken}, and ${shown}`);
  }

  /** Whether what was sent stands there now; notes what does. */
  async #isThere(attempt: Attempt): Promise<boolean> {
    const { shownAt, sent } = attempt;
    attempt.found = undefined;
    const seen = await this.#look(attempt, sent?.atMs);
    attempt.isHeard ||= seen.isHeard;
    const position = positionOf(attempt, shownAt);
    const { value: shown, quality: bits } = attempt.normaliser.single(position, seen.answers);
    if ((bits & quality.bad) === 0)
      attempt.found = { value: shown, atMs: performance.now(), isHeard: seen.isHeard };
    return sent !== undefined && this.#shows(attempt, seen, sent.raw);
  }

  /** Whether what is ordered stands there, for which the device is told `raw`. */
  #shows({ shownAt, target, value, normaliser, ...sight }: Attempt, seen: Seen, raw: Value): boolean {
    const position = positionOf({ ...sight, normaliser }, shownAt);
    if (shownAt === target.name) return shows(seen, position, value, raw);
    const { value: shown, quality: bits } = normaliser.single(position, seen.answers);
    return bits === 0 && shown === value;
  }

  /** Reads what matters to the write, or takes what the device has told by itself where it cannot be asked. */
  async #look(sight: Sight, sinceMs?: number): Promise<Seen & { isHeard: boolean }> {
    const { points, normaliser } = sight;
    const connection = this.#place.connection();
    if (connection === undefined)
      throw new DeviceError("closed", `${this.#place.device.id} is not connected`);
    const asked = askedOf(points);
    try {
      const { answers } = await this.#call(sight, (stop) => connection.read(asked, { signal: stop }));
      return { normaliser, answers, isHeard: false };
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== "unsupported") throw error;
    }
    const answers = asked.map(({ name }) => {
      const heard = this.#place.push()?.heard(name);
      // What a broker had kept may be from before; what came before the write is.
      const isOfNow = heard !== undefined && (sinceMs === undefined || !heard.isOld);
      return isOfNow && heard.heardMs >= (sinceMs ?? -Infinity) ? heard.answer : nothing;
    });
    return { normaliser, answers, isHeard: true };
  }

  /** A call of the driver; it ends with the time that is left, but for a last second. */
  #call<Result>({ untilMs }: Sight, work: (stop: AbortSignal) => Promise<Result>): Promise<Result> {
    const leftMs = Math.max(callLeastMs, untilMs - performance.now());
    return within(Math.min(callMostMs, leftMs), this.#place.ending, work);
  }

  #interlock(attempt: Attempt, seen: Seen & { isHeard: boolean }): WriteOutcome | undefined {
    for (const { point, equals } of attempt.target.write?.interlock ?? []) {
      const found = this.#known(attempt, seen, point);
      if (typeof found === "string") return failed("interlock", found);
      const { value } = found;
      if (value !== equals)
        return failed("interlock", `${point} is ${String(value)}, and must be ${String(equals)}`);
    }
    return undefined;
  }

  /** A person at the device goes before everybody else; where nobody can say, nothing is written either. */
  #override(attempt: Attempt, seen: Seen & { isHeard: boolean }): WriteOutcome | undefined {
    const { localOverride: rule } = this.#place.device;
    if (rule === undefined || attempt.isLocal === true) return undefined;
    const found = this.#known(attempt, seen, rule.point);
    if (typeof found === "string") return failed("interlock", found);
    return found.value === rule.when
      ? failed("override", `${rule.point} is ${String(found.value)}`)
      : undefined;
  }

  /** What a point shows, good and of now; else why it is not known. */
  #known(
    attempt: Attempt,
    seen: Seen & { isHeard: boolean },
    point: string,
  ): { value: ReadingValue } | string {
    const position = positionOf(attempt, point);
    if (position < 0) return `${point} is not a point of this device`;
    const { value, quality: bits, detail } = attempt.normaliser.single(position, seen.answers);
    if (bits !== 0) return `${point} is not known: ${detail?.code ?? "not good"}`;
    const isFresh = attempt.normaliser
      .sourcesOf(position)
      .every((source) => this.#isFresh(attempt, seen, source));
    return isFresh ? { value } : `${point} is not known: it is ${String(value)} since too long ago`;
  }

  #isFresh({ points }: Sight, { answers, isHeard }: Seen & { isHeard: boolean }, source: number): boolean {
    const answer = answers[source];
    if (typeof answer === "object" && answer.past === true) return false;
    if (!isHeard) return true;
    const heard = this.#place.push()?.heard(points[source]?.name ?? "");
    if (heard === undefined || heard.isOld) return false;
    return performance.now() - heard.heardMs <= (this.#place.device.silenceMs || freshMs);
  }

  /** What stands there before the write; undefined: the device does not say. */
  #shown({ shownAt, normaliser, points }: Attempt, { answers }: Seen): ReadingValue | undefined {
    const position = points.findIndex(({ name }) => name === shownAt);
    const sources = normaliser.sourcesOf(position);
    const isTold = position >= 0 && sources.every((source) => rawOf(answers[source]) !== null);
    return isTold ? normaliser.single(position, answers).value : undefined;
  }

  #unreadable({ shownAt, normaliser, points }: Attempt, { answers }: Seen): WriteOutcome {
    const position = points.findIndex(({ name }) => name === shownAt);
    const detail = position < 0 ? undefined : normaliser.single(position, answers).detail;
    const why = detail?.reason ?? detail?.code ?? "it is not a point of this device";
    return failed(
      "unreadable",
      `${shownAt} cannot be read, so that nobody would see what became of it: ${why}`,
    );
  }
}

/** The outcome with what was seen before and last. */
function told({ before, found, writtenMs }: Attempt, outcome: WriteOutcome): WriteOutcome {
  return {
    ...outcome,
    ...(before === undefined ? {} : { before }),
    ...(found === undefined ? {} : { readBack: found.value }),
    ...(writtenMs === undefined ? {} : { writtenMs }),
  };
}

function positionOf({ points }: Sight, name: string): number {
  return points.findIndex((point) => point.name === name);
}
