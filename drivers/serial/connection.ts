import {
  DeviceError,
  type Answer,
  type Connection,
  type DriverContext,
  type Identity,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Subscription,
} from "../../gateway/driver.ts";
import { Asking, unanswered, type Unanswered } from "./asking.ts";
import { leaveLine, lost, type Line } from "./line.ts";
import { Listening } from "./listening.ts";
import type { Address, Settings } from "./settings.ts";

/** So long one read may take; the host gives it a little more. What does not fit is a bad reading. */
const readBudgetMs = 14_000;

type Points = readonly PointRequest<Address>[];

/** One instrument on its line. See `Connection` in the driver contract. */
export class SerialConnection implements Connection<Address> {
  readonly #line: Line;
  readonly #settings: Settings;
  readonly #place: string;
  readonly #context: DriverContext;
  readonly #generation: number;
  readonly #over = new AbortController();
  readonly #plans = new WeakMap<Points, Map<string, number[]>>();
  #closing: Promise<void> | undefined;

  constructor(line: Line, settings: Settings, place: string, context: DriverContext) {
    this.#context = context;
    this.#line = line;
    this.#settings = settings;
    this.#place = place;
    this.#generation = line.generation;
  }

  async identify(signal: AbortSignal): Promise<Identity> {
    const { identify, requests } = this.#settings.grammar;
    if (identify === undefined)
      throw new DeviceError("unsupported", `${this.#place}: this dialect has no way to ask who is there`);
    return this.#alone(signal, async (asking) => {
      const problem = await asking.wake();
      if (problem !== undefined) throw this.#gone(problem);
      const values = await asking.ask(identify.request, requests[identify.request]!);
      if (typeof values !== "function") throw this.#gone(values);
      const identity: Identity = {};
      for (const key of ["vendor", "model", "firmware", "serial"] as const) {
        const field = identify[key];
        const answer = field === undefined ? undefined : values(undefined, field, false);
        const value = typeof answer === "object" ? answer.value : answer;
        if (value !== null && value !== undefined && value !== "") identity[key] = String(value);
      }
      return identity;
    });
  }

  async read(points: Points, { signal, raw = false }: ReadOptions): Promise<ReadResult> {
    const plan = this.#planFor(points);
    if (plan.size === 0 && points.length > 0)
      throw new DeviceError(
        "unsupported",
        `${this.#place}: the instrument tells this by itself and cannot be asked`,
      );
    const { timeout } = this.#settings;
    return this.#alone(signal, async (asking, untilMs) => {
      const answers: Answer[] = points.map(() => bad("not-asked", "the instrument tells this by itself"));
      const atMs: number[] = points.map(() => performance.now());
      const asleep = await asking.wake();
      let problem = asleep;
      let answered = 0;
      for (const [name, indexes] of plan) {
        const { requests } = this.#settings.grammar;
        const request = Object.hasOwn(requests, name) ? requests[name] : undefined;
        if (request === undefined) {
          this.#fill(
            answers,
            indexes,
            bad("no-such-request", `the profile's grammar has no request ${name}`),
          );
          continue;
        }
        const isFirst = problem === undefined && answered === 0;
        const isOver = !isFirst && performance.now() + timeout > untilMs;
        const values = asleep ?? (isOver ? noTimeFor(name) : await asking.ask(name, request));
        const now = performance.now();
        for (const index of indexes) atMs[index] = now;
        if (typeof values === "function") {
          answered++;
          for (const index of indexes) {
            const { item, field = "" } = points[index]!.address;
            answers[index] = values(item, field, raw);
          }
        } else {
          problem ??= values;
          const code = values.strayBytes > 0 ? "garbage" : "timeout";
          this.#fill(answers, indexes, bad(code, `no answer to ${values.text}`));
        }
      }
      if (problem !== undefined && answered === 0) throw this.#gone(problem);
      return plan.size > 1 ? { answers, atMs } : { answers };
    });
  }

  async subscribe(subscription: Subscription<Address>): Promise<void> {
    const { signal } = subscription;
    if (this.#over.signal.aborted) throw this.#over.signal.reason;
    if (signal.aborted) return;
    if (this.#line.generation !== this.#generation) throw lost(this.#place);
    const over = this.#over.signal;
    await new Promise<void>((resolve, reject) => {
      const settle = (settled: () => void) => {
        stopListening();
        signal.removeEventListener("abort", onAbort);
        over.removeEventListener("abort", onClose);
        settled();
      };
      const onAbort = () => settle(resolve);
      const onClose = () => settle(() => reject(over.reason as DeviceError));
      const listening = new Listening(this.#settings, this.#place, this.#context, subscription, (error) =>
        settle(() => reject(error)),
      );
      const stopListening = this.#line.listen(listening);
      signal.addEventListener("abort", onAbort);
      over.addEventListener("abort", onClose);
    });
  }

  close(): Promise<void> {
    this.#over.abort(new DeviceError("closed", `${this.#place}: the connection is closed`));
    this.#closing ??= leaveLine(this.#line);
    return this.#closing;
  }

  /** Which points each request serves; the same list has the same plan. */
  #planFor(points: Points): Map<string, number[]> {
    const known = this.#plans.get(points);
    if (known !== undefined) return known;
    const plan = new Map<string, number[]>();
    points.forEach(({ address: { request } }, index) => {
      if (request === undefined) return;
      const indexes = plan.get(request);
      if (indexes === undefined) plan.set(request, [index]);
      else indexes.push(index);
    });
    this.#plans.set(points, plan);
    return plan;
  }

  #fill(answers: Answer[], indexes: readonly number[], answer: Answer): void {
    for (const index of indexes) answers[index] = answer;
  }

  /** Runs one call, which ends with its signal and with the connection. */
  async #alone<Result>(
    signal: AbortSignal,
    call: (asking: Asking, untilMs: number) => Promise<Result>,
  ): Promise<Result> {
    const over = this.#over.signal;
    if (over.aborted) throw over.reason;
    if (signal.aborted) throw aborted(this.#place);
    if (this.#line.generation !== this.#generation) throw lost(this.#place);
    const stop = new AbortController();
    const onAbort = () => stop.abort(aborted(this.#place));
    const onClose = () => stop.abort(over.reason);
    signal.addEventListener("abort", onAbort);
    over.addEventListener("abort", onClose);
    try {
      const untilMs = performance.now() + readBudgetMs;
      return await call(new Asking(this.#line, this.#settings, untilMs, stop.signal), untilMs);
    } finally {
      signal.removeEventListener("abort", onAbort);
      over.removeEventListener("abort", onClose);
    }
  }

  #gone(problem: Unanswered): DeviceError {
    return unanswered(this.#place, problem, this.#settings.timeout);
  }
}

const bad = (code: string, reason: string): Answer => ({ value: null, status: "bad", code, reason });

const noTimeFor = (name: string): Unanswered => ({
  strayBytes: 0,
  text: `request ${name}: this read was out of time`,
});

/** The error of a call whose caller gave up. */
export function aborted(place: string): DeviceError {
  return new DeviceError("aborted", `${place}: given up by the caller`);
}
