import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Logger } from "pino";
import { healthChecks, reasonsNot } from "./health.ts";
import type { BooksLine } from "../outbox/books.ts";
import { refusedHost } from "../own-host.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { metricsText, metricsType } from "./metrics.ts";

/** Who scrapes is on this box or named in the site file; more than a handful is a mistake. */
const connectionsMax = 16;
const requestTimeoutMs = 5000;
const retryMs = 3000;

export interface HealthEndpointOptions {
  host: string;
  port: number;
  status(): Promise<GatewayStatus>;
  accounts(): Promise<BooksLine[]>;
  log: Logger;
}

/**
 * `GET /healthz`, `/readyz` (JSON; 503 and the reasons) and `/metrics` (Prometheus text). A port that is taken is no
 * reason not to poll: it is logged and tried again. Loaded only when `health.listen` is set.
 */
export class HealthEndpoint {
  readonly #options: HealthEndpointOptions;
  readonly #server: Server;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HealthEndpointOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: Error) => {
        if (!response.headersSent) sendJson(response, 500, { ok: false, reasons: [error.message] });
        else response.destroy();
      });
    });
    this.#server.maxConnections = connectionsMax;
    this.#server.requestTimeout = this.#server.headersTimeout = requestTimeoutMs;
    this.#server.on("listening", () => options.log.info(`health and metrics at ${this.#url}`));
    this.#server.on("error", (error) => this.#failed(error));
  }

  get #url(): string {
    const { host, port } = this.#options;
    return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  start(): void {
    const { host, port } = this.#options;
    this.#server.listen({ host, port });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #failed(error: Error): void {
    if (this.#timer === undefined) {
      this.#options.log.error(
        { code: "KERB-GW-ENDPOINT" },
        `no health checks and metrics at ${this.#url}: ${error.message}; it is tried again (see health → listen)`,
      );
    }
    this.#timer = setTimeout(() => this.start(), retryMs);
  }

  async #answer({ method, url = "", headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = url.split("?")[0];
    const refused = refusedHost(headers.host, [this.#options.host]);
    if (refused !== undefined) sendJson(response, 421, { ok: false, reasons: [refused] });
    else if (method !== "GET" && method !== "HEAD") {
      sendJson(response, 405, { ok: false, reasons: ["only GET is answered"] });
    } else if (path === "/metrics") {
      const [status, accounts] = await Promise.all([this.#options.status(), this.#options.accounts()]);
      send(response, 200, metricsType, await metricsText(status, accounts, Date.now()));
    } else if (path === "/healthz" || path === "/readyz") {
      const reasons = await this.#reasons(path === "/healthz" ? "alive" : "ready");
      sendJson(response, reasons.length === 0 ? 200 : 503, { ok: reasons.length === 0, reasons });
    } else {
      sendJson(response, 404, { ok: false, reasons: ["there are /healthz, /readyz and /metrics"] });
    }
  }

  async #reasons(what: "alive" | "ready"): Promise<string[]> {
    try {
      return reasonsNot(what, healthChecks(await this.#options.status(), Date.now()));
    } catch (error) {
      // It still starts: alive, as far as anybody can tell.
      return what === "alive" ? [] : [(error as Error).message];
    }
  }
}

function sendJson(response: ServerResponse, code: number, body: { ok: boolean; reasons: string[] }): void {
  send(response, code, "application/json", `${JSON.stringify(body)}\n`);
}

function send(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, { "content-type": type, "cache-control": "no-store" });
  response.end(body);
}
