import { DeviceError } from "../../gateway/driver.ts";
import { hostInUrl, pathOf, portOf, type Endpoint } from "./addresses.ts";
import { textOf } from "./charset.ts";
import { leastSkewMs, systemTimeMs } from "./clock.ts";
import { exchange, type HttpReply } from "./http.ts";
import { Digest, strongest, usernameToken, type Credentials } from "./login.ts";
import type { Settings } from "./settings.ts";
import { trustOf, type Trust } from "./tls.ts";
import { all, envelope, NotSoapError, parse, replyBytesMax, SoapFault, textAt, type Tree } from "./soap.ts";

/** The services whose addresses a camera tells, by the end of their namespaces. */
export type Service = "device" | "events" | "media" | "media2" | "recording";

const namespaces: Record<Service, string> = {
  device: "http://www.onvif.org/ver10/device/wsdl",
  events: "http://www.onvif.org/ver10/events/wsdl",
  media: "http://www.onvif.org/ver10/media/wsdl",
  media2: "http://www.onvif.org/ver20/media/wsdl",
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

/** How cameras say that they want a login (ONVIF Core, WS-Security 1.1), and how those that have no code for it. */
const refusals = new Set([
  "NotAuthorized",
  "FailedAuthentication",
  "FailedCheck",
  "InvalidSecurity",
  "InvalidSecurityToken",
  "MessageExpired",
  "SecurityTokenUnavailable",
  "UnsupportedSecurityToken",
]);
const refusalText = /not authori[sz]ed|authority failure/i;

/** One camera: its SOAP calls with login, its clock, the paths of its services. */
export class Camera {
  readonly place: string;
  readonly settings: Settings;
  readonly #trust: Trust | undefined;
  /** How far its clock is ahead, ms; undefined: it has not told the time. */
  skewMs: number | undefined;
  readonly #credentials: Credentials | undefined;
  #login: "plain" | "digest" | "ws-token";
  /** By port: a server at another one has nonces of its own. */
  readonly #digests = new Map<number, Digest>();
  /** It has taken our login at least once. */
  #isKnown = false;
  /** It has refused our login: asking on would lock the account. */
  #isDenied = false;
  #services: Map<Service, Endpoint> | undefined;

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
    return { host: this.settings.host, place: this.place, trust: this.#trust };
  }

  /** Its own address, as it stands in messages to it. */
  url({ path, port }: Endpoint): string {
    const scheme = this.#trust === undefined ? "http" : "https";
    return `${scheme}://${hostInUrl(this.settings.host)}:${port}${path}`;
  }

  /** What to call of an address that the camera gives: always this machine, another port only if the site lists it. */
  endpoint(given: string | undefined): Endpoint | undefined {
    const { port, ports } = this.settings;
    const path = pathOf(given);
    const named = portOf(given);
    if (path === undefined) return undefined;
    return { path, port: named !== undefined && ports.includes(named) ? named : port };
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

  /** Where a service is; undefined: the camera does not have it. */
  async service(service: Service, signal: AbortSignal): Promise<Endpoint | undefined> {
    if (service === "device") return { path: this.settings.servicePath, port: this.settings.port };
    this.#services ??= await this.#askServices(signal);
    return this.#services.get(service);
  }

  async #askServices(signal: AbortSignal): Promise<Map<Service, Endpoint>> {
    const found = new Map<Service, Endpoint>();
    try {
      const ask = "<IncludeCapability>false</IncludeCapability>";
      const body = await this.call("device", "GetServices", ask, { signal });
      for (const one of all(body["GetServicesResponse"], "Service").slice(0, 50)) {
        const endpoint = this.endpoint(textAt(one, "XAddr"));
        const name = (Object.keys(namespaces) as Service[]).find(
          (service) => namespaces[service] === textAt(one, "Namespace"),
        );
        if (name !== undefined && endpoint !== undefined) found.set(name, endpoint);
      }
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
    }
    if (found.has("events") && (found.has("media") || found.has("media2"))) return found;
    // Older than GetServices, or it does not tell all.
    try {
      const body = await this.call("device", "GetCapabilities", "<Category>All</Category>", { signal });
      const places: [Service, string[]][] = [
        ["events", ["Events"]],
        ["media", ["Media"]],
        ["recording", ["Extension", "Recording"]],
      ];
      for (const [service, names] of places) {
        const given = textAt(body, "GetCapabilitiesResponse", "Capabilities", ...names, "XAddr");
        const endpoint = this.endpoint(given);
        if (!found.has(service) && endpoint !== undefined) found.set(service, endpoint);
      }
    } catch (error) {
      if (!(error instanceof SoapFault) || found.size === 0) throw error;
    }
    return found;
  }

  /** Calls an operation of a service with the children of its request as XML; the body of the answer. */
  async call(service: Service, operation: string, inner: string, options: CallOptions): Promise<Tree> {
    const endpoint = await this.service(service, options.signal);
    if (endpoint === undefined)
      throw new SoapFault("ServiceNotSupported", `the camera has no ${service} service`);
    const body = `<${operation} xmlns="${namespaces[service]}">${inner}</${operation}>`;
    return (await this.post(endpoint, `${namespaces[service]}/${operation}`, body, options)).body;
  }

  /**
   * Posts a SOAP body and logs in as the camera wants it. Throws `SoapFault` where the camera says no, and
   * `DeviceError`: denied, garbage, and what `exchange` throws.
   */
  async post(at: Endpoint, action: string, body: string, options: CallOptions): Promise<SoapReply> {
    const { signal, timeoutMs = this.settings.timeout, header = "", isPlain = false } = options;
    const deadlineMs = performance.now() + timeoutMs;
    if (this.#isDenied && !isPlain) throw new DeviceError("denied", `${this.place}: login refused before`);
    for (let attempt = 1; ; attempt++) {
      const login = isPlain ? "plain" : this.#login;
      const leftMs = Math.max(1, deadlineMs - performance.now());
      const digest = login === "digest" ? this.#digests.get(at.port) : undefined;
      const token =
        login === "ws-token" && this.#credentials !== undefined
          ? usernameToken(this.#credentials, Date.now() + (this.skewMs ?? 0))
          : "";
      const reply = await exchange({
        ...this.#target,
        ...at,
        method: "POST",
        headers: {
          "Content-Type": `application/soap+xml; charset=utf-8; action="${action}"`,
          ...(digest === undefined ? {} : { Authorization: digest.header("POST", at.path) }),
        },
        body: envelope(body, header + token),
        timeoutMs: leftMs,
        bytesMax: replyBytesMax,
        signal,
      });
      const answer = this.#answer(reply);
      const refusal = refusalIn(answer, reply.status);
      if (refusal === undefined) {
        // Some say that there is no such action before they look who asks.
        if (answer instanceof SoapFault) throw answer;
        if (login !== "plain") this.#isKnown = true;
        return answer;
      }
      // A user that is known and may not do this one thing: no other login could do more.
      if (this.#isKnown && reply.status === 403) throw new SoapFault("NotAuthorized", "HTTP 403");
      const mayTry = !isPlain && attempt < attemptsMax;
      const used = digest ?? (login === "ws-token" ? login : undefined);
      if (mayTry && (await this.#loginAgain(used, at.port, reply, signal, leftMs))) continue;
      // A user that may not do this one thing is known all the same.
      if (this.#isKnown && reply.status !== 401 && refusal.code !== "FailedAuthentication") throw refusal;
      // That a question without a login is refused says nothing of the login.
      if (!isPlain) this.#isDenied = true;
      throw new DeviceError("denied", `${this.place}: login refused (${refusal.message})`);
    }
  }

  /** The answer, or the fault in its place. Throws `DeviceError` "garbage". */
  #answer({ status, body, type }: HttpReply): SoapReply | SoapFault {
    if (status >= 300 && status < 400)
      throw new DeviceError(
        "garbage",
        `${this.place}: points elsewhere (HTTP ${status}), which is not followed`,
      );
    const xml = textOf(body, type);
    try {
      return { body: parse(xml), xml };
    } catch (error) {
      if (error instanceof SoapFault) return error;
      if (!(error instanceof NotSoapError)) throw error;
      // Its web server has understood, and has no such thing: the rest of the camera may be well.
      if (status >= 400) return new SoapFault(`HTTP-${status}`, "an answer without SOAP");
      throw new DeviceError("garbage", `${this.place}: no SOAP answer (${error.message})`);
    }
  }

  /** Prepares the next login after what was `used`; false: there is none that could do better. */
  async #loginAgain(
    used: Digest | "ws-token" | undefined,
    port: number,
    { challenges }: HttpReply,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<boolean> {
    const { auth } = this.settings;
    if (this.#credentials === undefined) return false;
    const challenge = auth === "ws-token" ? undefined : strongest(challenges);
    if (challenge !== undefined) {
      // One use of a new nonce: it is the password. Of more, another call may have come in first.
      if (used instanceof Digest && used.uses === 1 && !challenge.stale) return false;
      this.#login = "digest";
      if (!(used instanceof Digest) || challenge.nonce !== used.challenge.nonce)
        this.#digests.set(port, new Digest(challenge, this.#credentials));
      return true;
    }
    if (auth === "digest") return false;
    if (used !== "ws-token") {
      this.#login = "ws-token";
      return true;
    }
    // A token is refused as too old when the camera's clock was set since it was measured.
    const before = this.skewMs ?? 0;
    await this.measureClock(signal, timeoutMs);
    return Math.abs((this.skewMs ?? 0) - before) > movedMs;
  }

  /** A picture or another file of the camera. */
  async get(at: Endpoint, bytesMax: number, signal: AbortSignal): Promise<{ type: string; bytes: Buffer }> {
    const deadlineMs = performance.now() + this.settings.timeout;
    for (let attempt = 1; ; attempt++) {
      const digest = this.#digests.get(at.port);
      const reply = await exchange({
        ...this.#target,
        ...at,
        method: "GET",
        headers: digest === undefined ? {} : { Authorization: digest.header("GET", at.path) },
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
      this.#digests.set(at.port, new Digest(challenge, this.#credentials));
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

/** Why an answer is no answer but the wish for a login; undefined: it is an answer. */
function refusalIn(answer: SoapReply | SoapFault, status: number): SoapFault | undefined {
  if (answer instanceof SoapFault && (refusals.has(answer.code) || refusalText.test(answer.message)))
    return answer;
  return status === 401 || status === 403 ? new SoapFault(`HTTP-${status}`, "") : undefined;
}

/** A fault or a broken answer of one call as the end of the connection. */
export function lostBy(error: unknown, place: string, what: string, hint = ""): DeviceError {
  if (error instanceof DeviceError)
    return hint === "" ? error : new DeviceError(error.code, error.message + hint, { cause: error });
  const text = `${place}: ${what}: ${error instanceof Error ? error.message : String(error)}`;
  return new DeviceError(error instanceof SoapFault ? "rejected" : "garbage", text.slice(0, 400) + hint);
}
