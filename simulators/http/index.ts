import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  anyNumber,
  checkRoom,
  seededRandom,
  WriteLog,
  type Fault,
  type SimulatedPoint,
  type Simulator,
  type SimulatorOptions,
  type StartSimulator,
} from "../simulator.ts";
import { emptyRoot, encoded, fill, put, rawOf, typed, type Address, type Style } from "./documents.ts";
import { Endpoint, type ServerTls, type Site } from "./endpoint.ts";
import { Login, type Auth } from "./login.ts";
import { Poster, type Webhook } from "./poster.ts";

/** The settings of the driver as far as a pretend device has the same, and what only a server has. */
interface Settings extends Partial<Style> {
  readonly host?: string;
  readonly port?: number;
  readonly basePath?: string;
  readonly tls?: unknown;
  readonly serverTls?: ServerTls;
  readonly auth?: Auth;
  readonly webhook?: Webhook;
  readonly utcOffset?: string;
}

const wrongClockMs = 7 * 3_600_000;

/** A pretend HTTP device: it shows its points at their paths and posts what it tells. */
class HttpDevice implements Simulator, Site {
  readonly counts = { requests: 0, errors: 0 };
  readonly writes = new WriteLog(this.counts);
  readonly basePath: string;
  readonly #options: SimulatorOptions;
  readonly #settings: Settings;
  readonly #style: Style;
  readonly #endpoint: Endpoint | undefined;
  readonly #login: Login;
  readonly #poster: Poster | undefined;
  readonly #random: () => number;
  readonly #pinned = new Map<string, number | string>();
  readonly #walks = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #told: NodeJS.Timeout | undefined;
  #changed = new Set<string>();
  #fault: Fault | undefined;
  #delayMs = 0;
  #isLate = false;

  constructor(options: SimulatorOptions, settings: Settings, endpoint: Endpoint | undefined) {
    this.#options = options;
    this.#settings = settings;
    this.#endpoint = endpoint;
    this.basePath = settings.basePath ?? "";
    const { format = "json", separator = ",", csvHeader = true, decimal = ".", variables = {} } = settings;
    this.#style = { format, separator, csvHeader, decimal, variables };
    this.#login = new Login(settings.auth);
    this.#random = seededRandom(options.seed ?? 1);
    const log = options.log ?? (() => {});
    if (settings.webhook !== undefined) this.#poster = new Poster(settings.webhook, log);
    const { recordEveryMs = 0 } = options;
    if (this.#poster !== undefined && recordEveryMs > 0)
      this.#told = setInterval(() => this.#tellByItself(), recordEveryMs);
    endpoint?.add(this);
  }

  get address(): string {
    const { host = "127.0.0.1", webhook, tls } = this.#settings;
    if (this.#endpoint === undefined) return `posts to ${webhook?.listen ?? "nobody"}`;
    return `${tls === undefined ? "http" : "https"}://${host}:${this.#endpoint.port}${this.basePath}`;
  }

  get isAway(): boolean {
    return this.#fault === "refuse" || this.#fault === "restart";
  }

  set(point: string, value: number | string | undefined): void {
    const definition = this.#options.points.find(({ name }) => name === point);
    if (definition !== undefined) checkRoom(definition, value, anyNumber);
    if (value === undefined) this.#pinned.delete(point);
    else this.#pinned.set(point, value);
    if (definition === undefined || (definition.address as Address).path !== undefined) return;
    if (this.#changed.size === 0) setImmediate(() => this.#postChanged());
    this.#changed.add(point);
  }

  tell(name: string, values: Record<string, number | string | boolean> = {}): void {
    const record = this.#options.records?.find((one) => one.name === name);
    if (record === undefined) throw new Error(`${this.#options.profile} has no record "${name}"`);
    const { pick = "$", time } = record.address as Address;
    const item = {};
    for (const field of record.fields) {
      const given = values[field.name];
      const { pick: at = "$", type } = field.address as Address;
      const raw =
        given === undefined ? this.#rawValue(field) : typeof given === "number" ? rawOf(field, given) : given;
      put(item, at, typed(raw, type));
    }
    if (time !== undefined) put(item, time, this.#time());
    this.#post(this.#wrapped(item, pick));
  }

  fault(fault: Fault | undefined, delayMs = 0): void {
    this.#fault = fault;
    this.#delayMs = delayMs;
    this.#isLate = fault === "late";
    if (this.isAway) this.#endpoint?.dropConnections();
    this.#endpoint?.reconcile();
    if (fault === "restart") this.#after(delayMs, () => this.#fault === "restart" && this.fault(undefined));
  }

  handle(request: IncomingMessage, response: ServerResponse, path: string): void {
    this.counts.requests++;
    const answer = () => void this.#answer(request, response, path).catch(() => request.socket.destroy());
    if (this.#fault === "silent") return;
    if (this.#fault === "hangUp") request.socket.destroy();
    else if (this.#fault === "garbage") request.socket.end(randomBytes(64));
    else if (this.#fault === "slow" || this.#isLate) this.#after(this.#delayMs, answer);
    else answer();
    this.#isLate = false;
  }

  async close(): Promise<void> {
    clearInterval(this.#told);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#poster?.close();
    await this.#endpoint?.remove(this);
  }

  #after(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const challenges = this.#login.check(request);
    const refuse = (status: number, headers = {}) => {
      this.counts.errors++;
      response.writeHead(status, headers).end();
    };
    if (challenges !== undefined) return refuse(401, { "WWW-Authenticate": challenges });
    if (request.method !== "GET") {
      const isTaken = await this.#write(request, path);
      // It may have fallen silent over what it was told.
      return this.#fault === "silent" ? undefined : refuse(isTaken ? 204 : 400);
    }
    const document = this.#documentAt(path);
    if (document === undefined) return refuse(404);
    const [body, type] = document;
    const tag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
    const isKnown = request.headers["if-none-match"] === tag;
    response.writeHead(isKnown ? 304 : 200, { "Content-Type": type, ETag: tag });
    response.end(isKnown ? undefined : body);
  }

  /** The text of all points of a path; undefined where there are none. */
  #documentAt(path: string): [body: string, type: string] | undefined {
    const points = this.#options.points.filter(({ address }) => {
      const own = (address as Address).path;
      return own !== undefined && fill(own, this.#style, true) === path;
    });
    const [first] = points;
    if (first === undefined) return undefined;
    const pickOf = ({ pick = "$" }: Address) => fill(pick, this.#style);
    const root = emptyRoot(points.map(({ address }) => pickOf(address as Address)));
    for (const point of points) {
      const address = point.address as Address;
      put(root, pickOf(address), typed(this.#rawValue(point), address.type));
      if (address.time !== undefined) put(root, fill(address.time, this.#style), this.#time());
    }
    return encoded(root, this.#style, (first.address as Address).format ?? this.#style.format);
  }

  /** A value that is written is pinned. */
  async #write(request: IncomingMessage, path: string): Promise<boolean> {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const isTaken = this.#take(text, path);
    this.writes.add(`${request.method} ${path} ${text}`, isTaken);
    return isTaken;
  }

  #take(text: string, path: string): boolean {
    for (const point of this.#options.points) {
      const { write, path: own } = point.address as Address;
      if (write === undefined || fill(write.path ?? own ?? "", this.#style, true) !== path) continue;
      const [before = "", after = ""] = JSON.stringify(write.body).split('"{value}"');
      if (!text.startsWith(before) || !text.endsWith(after)) continue;
      const value: unknown = JSON.parse(text.slice(before.length, text.length - after.length));
      this.#pinned.set(
        point.name,
        typeof value === "number" ? value * point.scale + point.offset : String(value),
      );
      return true;
    }
    return false;
  }

  #rawValue(point: SimulatedPoint): number | string {
    const { name, fixed, typical, scale, offset } = point;
    const pinned = this.#pinned.get(name);
    if (typeof pinned === "string") return pinned;
    if (pinned !== undefined) return (pinned - offset) / scale;
    if (fixed !== undefined) return fixed;
    if (typical === undefined) return 0;
    const [low, high] = typical;
    const before = this.#walks.get(name) ?? low + (high - low) * this.#random();
    const next = before + (high - low) * (this.#random() - 0.5) * 0.1;
    this.#walks.set(name, Math.min(high, Math.max(low, next)));
    return Number(((Math.min(high, Math.max(low, next)) - offset) / scale).toPrecision(6));
  }

  /** The device's clock, with its zone or as the settings say that it is meant. */
  #time(): string {
    const { utcOffset } = this.#settings;
    const nowMs = Date.now() - (this.#fault === "clockWrong" ? wrongClockMs : 0);
    if (utcOffset === undefined) return new Date(nowMs).toISOString();
    const [, sign = "+", hours = "0", minutes = "0"] = /^([+-])(\d\d):(\d\d)$/.exec(utcOffset) ?? [];
    const offsetMs = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -60_000 : 60_000);
    return new Date(nowMs + offsetMs).toISOString().slice(0, -1);
  }

  #postChanged(): void {
    const changed = this.#changed;
    this.#changed = new Set();
    const points = this.#options.points.filter(({ name }) => changed.has(name));
    const root = {};
    for (const point of points) {
      const { pick = "$", type, time } = point.address as Address;
      put(root, pick, typed(this.#rawValue(point), type));
      if (time !== undefined) put(root, time, this.#time());
    }
    this.#post(root);
  }

  /** A record's item where its pick finds it: "$[?type=alarm]" is an object with that type. */
  #wrapped(item: object, pick: string): unknown {
    const inner = /^\$\[\?([\w.]+)="?([^"\]]*)"?\]$/.exec(pick);
    if (inner !== null) {
      put(item, `$.${inner[1] ?? ""}`, inner[2]);
      return item;
    }
    const list = /^(.+)\[\?([\w.]+)="?([^"\]]*)"?\]$/.exec(pick);
    const root = {};
    if (list !== null) {
      put(item, `$.${list[2] ?? ""}`, list[3]);
      put(root, list[1] ?? "$", [item]);
    } else if (pick === "$") return item;
    else put(root, pick, item);
    return root;
  }

  #post(message: unknown): void {
    const fault = this.#fault === "late" && !this.#isLate ? undefined : this.#fault;
    this.#isLate = false;
    this.#poster?.post(message, fault, this.#delayMs);
  }

  #tellByItself(): void {
    for (const { name } of this.#options.records ?? []) if (this.#random() < 0.5) this.tell(name);
    for (const { name, address } of this.#options.points)
      if ((address as Address).path === undefined) this.#changed.add(name);
    if (this.#changed.size > 0) this.#postChanged();
  }
}

/** Starts a pretend HTTP device at the host and port of its settings; a device that only posts has none. */
export const start: StartSimulator = async (options) => {
  const settings = options.settings as Settings;
  const { host, port, tls, serverTls } = settings;
  if (tls !== undefined && serverTls === undefined)
    throw new Error(`${options.profile}: a pretend device has no certificate for TLS: leave "tls" out`);
  const isServer =
    host !== undefined && options.points.some(({ address }) => (address as Address).path !== undefined);
  const endpoint = isServer ? await Endpoint.at(host, port ?? 80, serverTls) : undefined;
  return new HttpDevice(options, settings, endpoint);
};
