import {
  DeviceError,
  type Answer,
  type Browsed,
  type BrowseRequest,
  type Connection,
  type DriverContext,
  type Identity,
  type LeftOut,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Subscription,
  type Value,
} from "../../gateway/driver.ts";
import { Client, shownPath, type Answer as HttpAnswer } from "./client.ts";
import { FormatError, isExpected, parseDocument, type Format } from "./document.ts";
import { isSame, madeMs, validatorsOf, type Validators } from "./freshness.ts";
import { filledPath, planOf, type Plan, type Task } from "./plan.ts";
import type { Address, Settings } from "./settings.ts";
import { aheadMsMax, answerOf, refusedAnswer, type Document, type Place } from "./values.ts";

type Points = readonly PointRequest<Address>[];

/** The host takes a device for lost whose read takes 15 s: what has been answered until then shall not be lost. */
const readMsMax = 13_500;
const cachedMax = 64;
/** Bytes of bodies that are kept to be asked for by their tag. */
const cachedBytesMax = 2_097_152;

/** What a path brought last, for "has it changed since?". */
interface Cached {
  readonly validators: Validators;
  readonly document: Document;
  readonly bytes: number;
  /** When it arrived first, ms since 1970. */
  readonly arrivedMs: number;
}

/** What became of one request, where the server is there and the device is not lost. */
type Outcome = { document: Document } | { code: string; reason: string; error: DeviceError };

const accepts: Record<Format, string> = {
  json: "application/json",
  xml: "application/xml, text/xml",
  csv: "text/csv, text/plain",
};

/** One HTTP device. See `Connection` in the driver contract. */
export class HttpConnection implements Connection<Address> {
  readonly #settings: Settings;
  readonly #place: string;
  readonly #client: Client | undefined;
  readonly #plans = new WeakMap<Points, Plan>();
  readonly #cache = new Map<string, Cached>();
  /** Times of values that lie ahead of our clock, and when each was first seen, ms since 1970. */
  readonly #ahead = new WeakMap<Place, { ownMs: number; firstMs: number }>();
  readonly #closing = new AbortController();
  /** Only where the device posts: a subscription that could tell nothing would be none. */
  subscribe?: (subscription: Subscription<Address>) => Promise<void>;

  constructor(settings: Settings, place: string, client: Client | undefined, context: DriverContext) {
    this.#settings = settings;
    this.#place = place;
    this.#client = client;
    if (settings.webhook === undefined) return;
    this.subscribe = async (subscription) => {
      // Nobody who only polls pays for a server.
      const { listen } = await import("./webhook.ts");
      return listen(settings, subscription, context, this.#closing.signal);
    };
  }

  identify(): Promise<Identity> {
    return Promise.reject(
      new DeviceError("unsupported", `${this.#place}: HTTP has no question for who a device is`),
    );
  }

  async read(points: Points, { signal, raw = false }: ReadOptions): Promise<ReadResult> {
    const client = this.#clientFor("nothing can be asked of a device that only posts");
    if (signal.aborted) throw new DeviceError("aborted", `${this.#place}: given up`);
    const plan = this.#plans.get(points) ?? planOf(points, this.#settings);
    this.#plans.set(points, plan);
    const answers: Answer[] = [];
    const atMs: number[] = [];
    let isAnyAnswered = false;
    let failure: DeviceError | undefined;
    for (const { position, reason } of plan.homeless) answers[position] = refusedAnswer("no-address", reason);
    // A path that hangs must not keep the others from being asked for ever.
    const tasks = plan.tasks.toSorted((a, b) => Number(a.wasLost) - Number(b.wasLost));
    let isLost = false;
    const lastMs = performance.now() + readMsMax;
    for (const task of tasks) {
      const outcome: Outcome =
        isLost || performance.now() >= lastMs
          ? lost(
              new DeviceError(
                "silent",
                "not asked: an earlier request of this read was not answered in time",
              ),
            )
          : await this.#ask(client, task, signal, lastMs);
      const nowMs = performance.now();
      if ("error" in outcome) {
        isLost ||= outcome.error.code === "silent";
        if (outcome.error.code !== "rejected") failure ??= outcome.error;
        else isAnyAnswered = true;
      } else isAnyAnswered = true;
      for (const { position, place } of task.points) {
        atMs[position] = nowMs;
        answers[position] =
          "error" in outcome
            ? refusedAnswer(outcome.code, outcome.reason)
            : this.#dated(
                place,
                answerOf(outcome.document, outcome.document.tree, place, this.#settings, { raw }),
              );
      }
    }
    if (!isAnyAnswered && failure !== undefined) throw failure;
    for (const { position } of plan.homeless) atMs[position] = performance.now();
    return tasks.length > 1 ? { answers, atMs } : { answers };
  }

  /** A time ahead of ours tells nothing of the value but that it is the same one: it is from when that was first seen. */
  #dated(place: Place, answer: Answer | undefined): Answer {
    if (typeof answer !== "object" || answer.sourceTimeMs === undefined)
      return answer ?? refusedAnswer("not-found", "");
    const ownMs = answer.sourceTimeMs;
    if (ownMs <= Date.now() + aheadMsMax) return answer;
    const known = this.#ahead.get(place);
    const seen = known?.ownMs === ownMs ? known : { ownMs, firstMs: Date.now() };
    this.#ahead.set(place, seen);
    return { ...answer, sourceTimeMs: seen.firstMs };
  }

  async write({ name, address }: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void> {
    const client = this.#clientFor("nothing can be written to a device that only posts");
    const { write, path: readPath } = address;
    const path = filledPath(write?.path ?? readPath ?? "", this.#settings.variables);
    if (write === undefined || path === undefined || path === "")
      throw new DeviceError("unsupported", `${this.#place}: the point ${name} cannot be written`);
    const plain = typeof value === "bigint" ? `${value}` : JSON.stringify(value);
    const body = JSON.stringify(write.body).replace('"{value}"', () => plain);
    const headers = { "Content-Type": "application/json", Accept: accepts.json };
    // What was read before it says nothing of what is there after it (RFC 9111, 4.4).
    this.#cache.clear();
    const { status } = await client.send({ method: write.method, path, headers, body }, signal);
    if (status >= 200 && status < 300) return;
    // Who went wrong in the middle, or has heard nothing from the device behind it, does not say no.
    const isOpen = (status >= 500 && status !== 501) || status === 408;
    const code = isOpen ? "silent" : status === 403 ? "denied" : "rejected";
    throw new DeviceError(
      code,
      `${this.#place}: ${write.method} ${shownPath(path)} was answered with ${status}`,
    );
  }

  async *browse(request: BrowseRequest): AsyncGenerator<Browsed | LeftOut> {
    const client = this.#clientFor("nothing can be asked of a device that only posts");
    const { signal } = request;
    if (signal.aborted) throw new DeviceError("aborted", `${this.#place}: given up`);
    // Nobody who only polls pays for it.
    const { browse } = await import("./browse.ts");
    // One GET, however many ways its answer is read: a GET may act.
    let sent: Promise<HttpAnswer> | undefined;
    yield* browse(this.#settings, this.#place, request, async (path, format) => {
      const lastMs = performance.now() + readMsMax;
      const headers = { Accept: [accepts[format], ...Object.values(accepts), "*/*;q=0.1"].join(", ") };
      sent ??= client.send({ method: "GET", path, headers }, signal, lastMs);
      const task: Task = { path, format, points: [], wasLost: false };
      const outcome = await this.#judge(task, await sent, undefined);
      if ("error" in outcome) throw outcome.error;
      return outcome.document;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#client?.close();
  }

  #clientFor(why: string): Client {
    if (this.#closing.signal.aborted) throw new DeviceError("closed", `${this.#place}: closed`);
    if (this.#client === undefined) throw new DeviceError("unsupported", `${this.#place}: ${why}`);
    return this.#client;
  }

  /** One path. Rejects when the device is lost beyond this request; a deadline and bad content are its own. */
  async #ask(client: Client, task: Task, signal: AbortSignal, lastMs: number): Promise<Outcome> {
    const { path, format } = task;
    const cached = this.#cache.get(keyOf(task));
    const headers = { Accept: accepts[format], ...cached?.validators };
    let answer: HttpAnswer;
    try {
      answer = await client.send({ method: "GET", path, headers }, signal, lastMs);
    } catch (error) {
      if (!(error instanceof DeviceError) || (error.code !== "silent" && error.code !== "garbage"))
        throw error;
      task.wasLost = error.code === "silent";
      return lost(error);
    }
    task.wasLost = false;
    return this.#judge(task, answer, cached);
  }

  async #judge(task: Task, answer: HttpAnswer, cached: Cached | undefined): Promise<Outcome> {
    const { path, format } = task;
    const what = `${this.#place}: GET ${shownPath(path)}`;
    const { status, header, body } = answer;
    if (status === 304 && cached !== undefined && isSame(header("etag"), cached)) {
      // Unchanged is no new measurement: the value keeps the time at which it came first.
      return { document: { ...cached.document, madeMs: cached.document.madeMs ?? cached.arrivedMs } };
    }
    this.#cache.delete(keyOf(task));
    if (status !== 200 && status !== 203) {
      const reason = redirection(status, header("location")) ?? `the server answers ${status}`;
      const code = status === 403 ? "denied" : "rejected";
      return { code: `http-${status}`, reason, error: new DeviceError(code, `${what}: ${reason}`) };
    }
    const type = header("content-type");
    if (!isExpected(type, format, this.#settings.contentTypes))
      return lost(
        new DeviceError("garbage", `${what}: the answer is ${type?.slice(0, 60)} and not ${format}`),
      );
    let document: Document;
    try {
      const tree = await parseDocument(body, format, this.#settings, type);
      document = { tree, format, madeMs: madeMs(header, this.#settings.conditional) };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return lost(new DeviceError("garbage", `${what}: ${error.message}`));
    }
    this.#keep(task, document, answer);
    return { document };
  }

  #keep(task: Task, document: Document, { header, body }: HttpAnswer): void {
    const validators = this.#settings.conditional ? validatorsOf(header) : undefined;
    if (validators === undefined) return;
    this.#cache.set(keyOf(task), { validators, document, bytes: body.length, arrivedMs: Date.now() });
    let bytes = 0;
    for (const one of this.#cache.values()) bytes += one.bytes;
    for (const [key, one] of this.#cache) {
      if (this.#cache.size <= cachedMax && bytes <= cachedBytesMax) break;
      this.#cache.delete(key);
      bytes -= one.bytes;
    }
  }
}

/** A server may have a path in several formats. */
const keyOf = ({ format, path }: Task): string => `${format} ${path}`;

function lost(error: DeviceError): Outcome {
  return { code: error.code === "silent" ? "timeout" : error.code, reason: error.message, error };
}

/** A redirect is never followed: it would lead the login, or the gateway, to where nobody has sent it. */
function redirection(status: number, location: string | undefined): string | undefined {
  if (status < 300 || status > 399 || status === 304) return undefined;
  const where = location === undefined ? "elsewhere" : `to ${shownPath(location.slice(0, 120))}`;
  return `the server redirects ${where}, which is not followed: name the place itself`;
}
