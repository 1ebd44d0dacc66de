import { randomBytes } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { seededRandom, type Fault, type Simulator, type SimulatorOptions } from "../simulator.ts";
import { Guard } from "./guard.ts";
import { Model, type Happening } from "./model.ts";
import { PullPoints, type Quirks } from "./pull-points.ts";
import { serveRtsp } from "./rtsp.ts";
import { open as openOperations, picturePath, Services } from "./services.ts";
import { envelope, fault as faultXml, readRequest } from "./xml.ts";

/** A device's settings as `drivers/onvif/settings.ts` parses them, as far as a pretend camera needs them. */
interface Settings {
  host?: string;
  port?: number;
  rtspPort?: number;
  user?: string;
  password?: string;
  auth?: "auto" | "digest" | "ws-token" | "none";
}

/**
 * What goes wrong with cameras besides `Fault`: loginRefused · deniesAll (the time too, which needs no login) · truncated (answers are cut in mid-body) · drip (a
 * byte each 50 ms) · huge (4 MB) · bomb (entities) · compressed · redirect · refusesCreate, refusesPull,
 * refusesRenew, hasRoomForOne (SOAP faults) · hidesTime, answersAtOnce (of pulls) ·
 * slowPicture (a still picture takes 2 s) · pageForPicture (with status 200) · forbidsRecording (HTTP 403) · nonceOld (every nonce has run out).
 */
export type Trouble =
  | "loginRefused"
  | "deniesAll"
  | "truncated"
  | "drip"
  | "huge"
  | "bomb"
  | "compressed"
  | "redirect"
  | "nonceOld"
  | "slowPicture"
  | "pageForPicture"
  | "forbidsRecording"
  | keyof Quirks;

export interface CameraSimulator extends Simulator {
  readonly port: number;
  trouble(trouble: Trouble | undefined): void;
  /** Forgets every subscription; `reboot` also drops all connections and is away for a while. */
  loseSubscriptions(): void;
  /** Tells any happening, also one that no profile knows. */
  happen(happening: Omit<Happening, "timeMs">): void;
  /** Which machine its service addresses name, such as "10.1.2.3:8080". */
  claimHost(host: string): void;
  readonly pullPoints: PullPoints;
  /** Bodies of the requests, newest last; the last hundred. */
  readonly requests: readonly string[];
  readonly logins: { good: number; refused: number };
  tell(record: string, values?: Record<string, number | string | boolean>): void;
}

const defaultDelayMs = 2000;
const slowPictureMs = 2000;
const picture = Buffer.concat([
  Buffer.from([0xff, 0xd8, 0xff, 0xe0]),
  Buffer.from("a picture of nobody"),
  Buffer.from([0xff, 0xd9]),
]);

class Camera {
  readonly model: Model;
  readonly pullPoints: PullPoints;
  readonly services: Services;
  readonly guard: Guard | undefined;
  readonly counts = { requests: 0, errors: 0 };
  readonly logins = { good: 0, refused: 0 };
  readonly requests: string[] = [];
  readonly #settings: Settings;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #http = createHttpServer((request, response) => void this.#serve(request, response));
  #fault: Fault | undefined;
  #delayMs = 0;
  #isLateDone = false;
  #back: NodeJS.Timeout | undefined;
  trouble: Trouble | undefined;
  port = 0;

  constructor(options: SimulatorOptions) {
    const seed = options.seed ?? 1;
    this.#settings = options.settings;
    this.model = new Model(options, seededRandom(seed));
    this.pullPoints = new PullPoints(seed % 2 === 0);
    this.services = new Services(this.model, this.pullPoints, options.identity, "");
    const { user, password, auth = "auto" } = this.#settings;
    this.guard =
      user === undefined || password === undefined || auth === "none" ? undefined : new Guard(user, password);
    this.#http.keepAliveTimeout = 1000;
  }

  async open(): Promise<void> {
    const { port = 0, rtspPort } = this.#settings;
    this.port = await this.#listen(this.port === 0 ? port : this.port);
    this.services.base ||= `http://127.0.0.1:${this.port}`;
    this.services.rtspPort = this.port;
    if (rtspPort === undefined || rtspPort === port) return;
    // Both are served at either port; the RTSP port may need rights that a pretend camera has not.
    await this.#listen(rtspPort).then(
      (taken) => (this.services.rtspPort = taken),
      () => undefined,
    );
  }

  async #listen(port: number): Promise<number> {
    const server = createServer((socket) => this.#connected(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    this.#servers.push(server);
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    socket.once("data", (chunk: Buffer) => {
      socket.pause();
      if (this.#fault === "hangUp") {
        this.counts.requests++;
        socket.resetAndDestroy();
      } else if (this.#fault === "garbage") {
        this.counts.requests++;
        socket.end(randomBytes(64));
      } else if (/^(OPTIONS|DESCRIBE|SETUP|PLAY) rtsp:/.test(chunk.toString("latin1", 0, 32))) {
        if (this.#fault === "silent") return;
        serveRtsp(socket, chunk.toString("latin1"), this.guard, () => this.services.isStreaming);
        socket.resume();
      } else {
        socket.unshift(chunk);
        this.#http.emit("connection", socket);
        socket.resume();
      }
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.counts.requests++;
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("error", () => {});
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > 65_536) return void request.destroy();
        chunks.push(chunk);
      }
      const isSlow = this.trouble === "slowPicture" && request.method === "GET";
      const delayMs = isSlow ? slowPictureMs : this.#takeDelay();
      const { status, headers, body } = await this.#answer(request, Buffer.concat(chunks).toString("utf8"));
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs).unref());
      if (this.#fault === "silent" || response.destroyed) return;
      if (status !== 200) this.counts.errors++;
      this.#send(response, status, headers, body);
    } catch {
      // The client has gone.
      response.destroy();
    }
  }

  #takeDelay(): number {
    if (this.#fault === "slow") return this.#delayMs;
    if (this.#fault !== "late" || this.#isLateDone) return 0;
    this.#isLateDone = true;
    return this.#delayMs;
  }

  async #answer(
    request: IncomingMessage,
    xml: string,
  ): Promise<{ status: number; headers: Record<string, string | string[]>; body: string | Buffer }> {
    const { url = "/", method = "" } = request;
    const soap = { "Content-Type": "application/soap+xml; charset=utf-8" };
    const wanted = method === "POST" ? readRequest(xml) : undefined;
    this.requests.push(xml);
    if (this.requests.length > 100) this.requests.shift();
    const refusal =
      wanted !== undefined && openOperations.has(wanted.operation) && this.trouble !== "deniesAll"
        ? undefined
        : this.#refusal(request, method, url, wanted);
    if (refusal !== undefined) return refusal;
    if (method === "GET" && this.trouble === "pageForPicture")
      return { status: 200, headers: { "Content-Type": "text/html" }, body: "<html>Log in</html>" };
    if (this.trouble === "forbidsRecording" && wanted?.operation.includes("Recording") === true)
      return { status: 403, headers: {}, body: "" };
    if (method === "GET" && url === picturePath)
      return { status: 200, headers: { "Content-Type": "image/jpeg" }, body: picture };
    if (wanted === undefined)
      return { status: 400, headers: soap, body: faultXml("ter:WellFormed", "not a SOAP request") };
    const quirks: Quirks = {
      refusesCreate: this.trouble === "refusesCreate",
      refusesPull: this.trouble === "refusesPull",
      refusesRenew: this.trouble === "refusesRenew",
      hasRoomForOne: this.trouble === "hasRoomForOne",
      hidesTime: this.trouble === "hidesTime",
      answersAtOnce: this.trouble === "answersAtOnce",
    };
    const body = await this.services.answer(wanted, url, quirks);
    const isFault = body.includes("<env:Fault>");
    return { status: isFault ? 500 : 200, headers: soap, body: isFault ? body : envelope(body) };
  }

  /** What a camera says to who has not logged in; undefined: come in. */
  #refusal(request: IncomingMessage, method: string, url: string, wanted: ReturnType<typeof readRequest>) {
    const { guard, trouble } = this;
    if (guard === undefined) return undefined;
    const { auth = "auto" } = this.#settings;
    const tokensOnly = auth === "ws-token" && method === "POST";
    if (trouble === "nonceOld") {
      guard.forget();
      this.trouble = undefined;
    }
    const header = request.headers.authorization;
    const digest = tokensOnly || header === undefined ? "wrong" : guard.digest(header, method, url);
    const token =
      auth === "digest" || wanted === undefined ? "absent" : guard.token(wanted.header, this.model.nowMs);
    const refusesAll = trouble === "loginRefused" || trouble === "deniesAll";
    if (!refusesAll && (digest === "good" || token === "good")) {
      this.logins.good++;
      return undefined;
    }
    if (header !== undefined || token === "wrong") this.logins.refused++;
    if (tokensOnly) {
      const body = faultXml("ter:NotAuthorized", "Sender not Authorized");
      return { status: 400, headers: { "Content-Type": "application/soap+xml; charset=utf-8" }, body };
    }
    const challenges = guard.challenges(digest === "stale");
    return {
      status: 401,
      headers: { "WWW-Authenticate": challenges, "Content-Type": "text/html" },
      body: "<html><body>401</body></html>",
    };
  }

  #send(
    response: ServerResponse,
    status: number,
    headers: Record<string, string | string[]>,
    body: string | Buffer,
  ): void {
    const bytes = Buffer.from(body);
    const { trouble } = this;
    if (trouble === "redirect") {
      response.writeHead(302, { location: "http://127.0.0.1:1/onvif/device_service" }).end();
    } else if (trouble === "truncated") {
      response.writeHead(status, { ...headers, "Content-Length": bytes.length });
      response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
    } else if (trouble === "drip") {
      response.writeHead(status, { ...headers, "Content-Length": bytes.length });
      let sent = 0;
      const timer = setInterval(() => {
        if (response.destroyed || sent >= bytes.length) clearInterval(timer);
        else response.write(bytes.subarray(sent, ++sent));
      }, 50).unref();
    } else if (trouble === "huge") {
      response.writeHead(status, headers);
      response.end(Buffer.alloc(4 * 1024 * 1024, 0x20));
    } else if (trouble === "compressed") {
      response.writeHead(status, { ...headers, "Content-Encoding": "gzip" }).end(bytes);
    } else if (trouble === "bomb") {
      const lol = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>';
      response.writeHead(status, headers).end(bytes.toString("utf8").replace("?>", `?>${lol}`));
    } else {
      response.writeHead(status, { ...headers, "Content-Length": bytes.length }).end(bytes);
    }
  }

  fault(fault: Fault | undefined, delayMs: number): void {
    clearTimeout(this.#back);
    this.#back = undefined;
    this.#fault = fault;
    this.#delayMs = delayMs;
    this.#isLateDone = false;
    this.model.isClockWrong = fault === "clockWrong";
    if (fault === "refuse" || fault === "restart") {
      if (fault === "restart") this.pullPoints.lose();
      void this.#shut();
      if (fault === "restart") this.#back = setTimeout(() => this.fault(undefined, 0), delayMs);
    } else if (this.#servers.length === 0) void this.open().catch(() => {});
  }

  #shut(): Promise<unknown> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = this.#servers
      .splice(0)
      .map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    return Promise.all(closed);
  }

  async close(): Promise<void> {
    clearTimeout(this.#back);
    this.pullPoints.lose();
    await this.#shut();
  }
}

/** Starts a pretend camera at `settings.port` of the loopback; port 0 takes a free one. RTSP is at the same port. */
export const start = async (options: SimulatorOptions): Promise<CameraSimulator> => {
  const camera = new Camera(options);
  await camera.open();
  const tell = (happening: Happening | undefined): void => {
    if (happening !== undefined) camera.pullPoints.tell(happening);
  };
  const { recordEveryMs = 0 } = options;
  const clock = recordEveryMs > 0 ? setInterval(() => tell(camera.model.any()), recordEveryMs) : undefined;
  return {
    address: `127.0.0.1:${camera.port}`,
    port: camera.port,
    counts: camera.counts,
    logins: camera.logins,
    requests: camera.requests,
    pullPoints: camera.pullPoints,
    set: (point, value) => tell(camera.model.set(point, value)),
    tell: (record, values) => tell(camera.model.tell(record, values)),
    happen: (happening) => tell({ ...happening, timeMs: camera.model.nowMs }),
    claimHost: (host) => void (camera.services.base = `http://${host}`),
    trouble: (trouble) => void (camera.trouble = trouble),
    loseSubscriptions: () => camera.pullPoints.lose(),
    fault: (fault, delayMs = defaultDelayMs) => camera.fault(fault, delayMs),
    close() {
      clearInterval(clock);
      return camera.close();
    },
  };
};
