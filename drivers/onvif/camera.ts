import { randomUUID } from "node:crypto";
import { DeviceError } from "../../gateway/driver.ts";
import { leastSkewMs, systemTimeMs } from "./clock.ts";
import { exchange, type HttpReply } from "./http.ts";
import { Digest, strongest, usernameToken, type Credentials } from "./login.ts";
import type { Settings } from "./settings.ts";
import { trustOf, type Trust } from "./tls.ts";
import {
  all,
  envelope,
  escape,
  NotSoapError,
  parse,
  replyBytesMax,
  SoapFault,
  textAt,
  type Tree,
} from "./soap.ts";

/** The services whose addresses a camera tells, by the end of their namespaces. */
export type Service = "device" | "events" | "media" | "recording";

const namespaces: Record<Service, string> = {
  device: "http://www.onvif.org/ver10/device/wsdl",
  events: "http://www.onvif.org/ver10/events/wsdl",
  media: "http://www.onvif.org/ver10/media/wsdl",
  recording: "http://www.onvif.org/ver10/recording/wsdl",
};

/** Login, the login again because the nonce was old, and once more with the camera's time measured anew. */
const attemptsMax = 3;
/** A clock that has moved by less cannot be why a token was refused. */
const movedMs = 2000;

export interface SoapReply {
  readonly body: Tree;
  /** What it was parsed from: prefixes are not in the tree. */
  readonly xml: string;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Default: the settings'. */
  readonly timeoutMs?: number;
  /** Action, To and reference parameters of WS-Addressing, as XML. */
  readonly header?: string;
  readonly isPlain?: boolean;
}

/** The path of an address that a camera gives, and nothing else of it: host and port are the settings'. */
export function pathOf(given: string | undefined): string | undefined {
  const url = given === undefined ? null : URL.parse(given);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  const path = `${url.pathname}${url.search}`;
  return path.length <= 500 ? path : undefined;
}

/** One camera: its SOAP calls with login, its clock, the paths of its services. */
export class Camera {
  readonly place: string;
  readonly settings: Settings;
  readonly #trust: Trust | undefined;
  /** How far its clock is ahead, ms; undefined: it has not told the time. */
  skewMs: number | undefined;
  readonly #credentials: Credentials | undefined;
  #login: "plain" | "digest" | "ws-token";
  #digest: Digest | undefined;
  /** It has taken our login at least once. */
  #isKnown = false;
  /** It has refused our login: asking on would lock the account. */
  #isDenied = false;
  #paths: Map<Service, string> | undefined;

  constructor(settings: Settings) {
    const { host, port, user, password, auth } = settings;
    this.settings = settings;
    this.place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.#trust = trustOf(settings, this.place);
    this.#credentials =
      user === undefined || password === undefined || auth === "none" ? undefined : { user, password };
    this.#login = auth === "ws-token" && this.#credentials !== undefined ? "ws-token" : "plain";
  }

  get #target() {
    const { host, port } = this.settings;
    return { host, port, place: this.place, trust: this.#trust };
  }

  /** Its own address of a path, as it stands in messages to it. */
  url(path: string): string {
    return `${this.#trust === undefined ? "http" : "https"}://${this.place}${path}`;
  }

  /** Asks for the time, without login: a token can only be made at the camera's own time. Returns the skew. */
  async measureClock(signal: AbortSignal, timeoutMs?: number): Promise<number | undefined> {
    const call = (isPlain: boolean) => {
      const sentMs = Date.now();
      const options = { signal, isPlain, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
      return this.call("device", "GetSystemDateAndTime", "", options).then((body) => {
        const shownMs = systemTimeMs(body);
        return shownMs === undefined ? undefined : leastSkewMs(shownMs, sentMs, Date.now());
      });
    };
    try {
      this.skewMs = await call(true);
    } catch (error) {
      // Some makes want a login for this, too (Panasonic); they can only be asked if their clock is right.
      const isRefused =
        error instanceof DeviceError
          ? error.code === "denied"
          : error instanceof SoapFault && error.code === "NotAuthorized";
      if (!isRefused || this.#credentials === undefined) throw error;
      this.skewMs = await call(false);
    }
    return this.skewMs;
  }

  /** The path of a service; undefined: the camera does not have it. */
  async path(service: Service, signal: AbortSignal): Promise<string | undefined> {
    if (service === "device") return this.settings.servicePath;
    this.#paths ??= await this.#askPaths(signal);
    return this.#paths.get(service);
  }

  async #askPaths(signal: AbortSignal): Promise<Map<Service, string>> {
    const found = new Map<Service, string>();
    try {
      const ask = "<IncludeCapability>false</IncludeCapability>";
      const body = await this.call("device", "GetServices", ask, { signal });
      for (const one of all(body["GetServicesResponse"], "Service").slice(0, 50)) {
        const path = pathOf(textAt(one, "XAddr"));
        const name = (Object.keys(namespaces) as Service[]).find(
          (service) => namespaces[service] === textAt(one, "Namespace"),
        );
        if (name !== undefined && path !== undefined) found.set(name, path);
      }
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
      // Older than GetServices.
      const body = await this.call("device", "GetCapabilities", "<Category>All</Category>", { signal });
      const places: [Service, string[]][] = [
        ["events", ["Events"]],
        ["media", ["Media"]],
        ["recording", ["Extension", "Recording"]],
      ];
      for (const [service, names] of places) {
        const path = pathOf(textAt(body, "GetCapabilitiesResponse", "Capabilities", ...names, "XAddr"));
        if (path !== undefined) found.set(service, path);
      }
    }
    return found;
  }

  /** Calls an operation of a service with the children of its request as XML; the body of the answer. */
  async call(service: Service, operation: string, inner: string, options: CallOptions): Promise<Tree> {
    const path = await this.path(service, options.signal);
    if (path === undefined)
      throw new SoapFault("ServiceNotSupported", `the camera has no ${service} service`);
    const body = `<${operation} xmlns="${namespaces[service]}">${inner}</${operation}>`;
    return (await this.post(path, `${namespaces[service]}/${operation}`, body, options)).body;
  }

  /**
   * Posts a SOAP body and logs in as the camera wants it. Throws `SoapFault` where the camera says no, and
   * `DeviceError`: denied, garbage, and what `exchange` throws.
   */
  async post(path: string, action: string, body: string, options: CallOptions): Promise<SoapReply> {
    const { signal, timeoutMs = this.settings.timeout, header = "", isPlain = false } = options;
    const deadlineMs = performance.now() + timeoutMs;
    if (this.#isDenied && !isPlain) throw new DeviceError("denied", `${this.place}: login refused before`);
    for (let attempt = 1; ; attempt++) {
      const login = isPlain ? "plain" : this.#login;
      const leftMs = Math.max(1, deadlineMs - performance.now());
      const digest = login === "digest" ? this.#digest : undefined;
      const token =
        login === "ws-token" && this.#credentials !== undefined
          ? usernameToken(this.#credentials, Date.now() + (this.skewMs ?? 0))
          : "";
      const reply = await exchange({
        ...this.#target,
        path,
        method: "POST",
        headers: {
          "Content-Type": `application/soap+xml; charset=utf-8; action="${action}"`,
          ...(digest === undefined ? {} : { Authorization: digest.header("POST", path) }),
        },
        body: envelope(body, header + token),
        timeoutMs: leftMs,
        bytesMax: replyBytesMax,
        signal,
      });
      const refusal = this.#refusal(reply);
      if (refusal === undefined) {
        const answer = this.#answer(reply);
        if (login !== "plain") this.#isKnown = true;
        return answer;
      }
      // A user that is known and may not do this one thing: no other login could do more.
      if (this.#isKnown && reply.status === 403) throw new SoapFault("NotAuthorized", "HTTP 403");
      const mayTry = !isPlain && attempt < attemptsMax;
      if (mayTry && (await this.#loginAgain(login, reply, signal, leftMs))) continue;
      // A user that may not do this one thing is known all the same.
      if (this.#isKnown && refusal instanceof SoapFault && refusal.code !== "FailedAuthentication")
        throw refusal;
      // That a question without a login is refused says nothing of the login.
      if (!isPlain) this.#isDenied = true;
      throw new DeviceError("denied", `${this.place}: login refused (${refusal.message})`);
    }
  }

  /** Why an answer is no answer but the wish for a login; undefined: it is an answer. */
  #refusal({ status, body }: HttpReply): SoapFault | Error | undefined {
    if (status === 401 || status === 403) return new Error(`HTTP ${status}`);
    if (status < 400) return undefined;
    try {
      parse(body.toString("utf8"));
    } catch (error) {
      const codes = ["NotAuthorized", "FailedAuthentication", "InvalidSecurity"];
      if (error instanceof SoapFault && codes.includes(error.code)) return error;
    }
    return undefined;
  }

  #answer({ status, body }: HttpReply): SoapReply {
    if (status >= 300 && status < 400)
      throw new DeviceError(
        "garbage",
        `${this.place}: points elsewhere (HTTP ${status}), which is not followed`,
      );
    const xml = body.toString("utf8");
    try {
      return { body: parse(xml), xml };
    } catch (error) {
      if (!(error instanceof NotSoapError)) throw error;
      const what = status === 200 ? "" : `HTTP ${status}, `;
      throw new DeviceError("garbage", `${this.place}: no SOAP answer (${what}${error.message})`);
    }
  }

  /** Prepares the next login; false: there is none that could do better. */
  async #loginAgain(
    tried: "plain" | "digest" | "ws-token",
    { challenges }: HttpReply,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<boolean> {
    const { auth } = this.settings;
    if (this.#credentials === undefined) return false;
    const challenge = auth === "ws-token" ? undefined : strongest(challenges);
    if (challenge !== undefined) {
      // The same password to a new nonce helps only if the old one had run out.
      if (tried === "digest" && !challenge.stale && !this.#isKnown) return false;
      if (tried === "digest" && challenge.nonce === this.#digest?.challenge.nonce) return false;
      this.#login = "digest";
      this.#digest = new Digest(challenge, this.#credentials);
      return true;
    }
    if (auth === "digest") return false;
    if (tried !== "ws-token") {
      this.#login = "ws-token";
      return true;
    }
    // A token is refused as too old when the camera's clock was set since it was measured.
    const before = this.skewMs ?? 0;
    await this.measureClock(signal, timeoutMs);
    return Math.abs((this.skewMs ?? 0) - before) > movedMs;
  }

  /** A picture or another file of the camera, by the path of an address that it gave. */
  async get(path: string, bytesMax: number, signal: AbortSignal): Promise<{ type: string; bytes: Buffer }> {
    const deadlineMs = performance.now() + this.settings.timeout;
    for (let attempt = 1; ; attempt++) {
      const reply = await exchange({
        ...this.#target,
        path,
        method: "GET",
        headers: this.#digest === undefined ? {} : { Authorization: this.#digest.header("GET", path) },
        timeoutMs: Math.max(1, deadlineMs - performance.now()),
        bytesMax,
        signal,
      });
      if (reply.status === 200) return { type: reply.type, bytes: reply.body };
      const challenge = strongest(reply.challenges);
      if (reply.status !== 401 || challenge === undefined || this.#credentials === undefined || attempt > 1)
        throw new DeviceError(
          reply.status === 401 || reply.status === 403 ? "denied" : "rejected",
          `${this.place}: no file (HTTP ${reply.status})`,
        );
      this.#digest = new Digest(challenge, this.#credentials);
    }
  }

  /** The digest of the RTSP server, which wants a login of its own. */
  digestFor(challenges: readonly string[]): Digest | undefined {
    const challenge = strongest(challenges);
    return challenge === undefined || this.#credentials === undefined
      ? undefined
      : new Digest(challenge, this.#credentials);
  }
}

/** Headers of WS-Addressing for a message to an address that the camera gave, which is named and not called. */
export function addressing(action: string, to: string, more = ""): string {
  return (
    `<wsa:Action s:mustUnderstand="true">${action}</wsa:Action>` +
    `<wsa:MessageID>urn:uuid:${randomUUID()}</wsa:MessageID>` +
    `<wsa:To s:mustUnderstand="true">${escape(to)}</wsa:To>${more}`
  );
}

/** A fault or a broken answer of one call as the end of the connection. */
export function lostBy(error: unknown, place: string, what: string): DeviceError {
  if (error instanceof DeviceError) return error;
  const text = `${place}: ${what}: ${error instanceof Error ? error.message : String(error)}`;
  return new DeviceError(error instanceof SoapFault ? "rejected" : "garbage", text.slice(0, 400));
}
