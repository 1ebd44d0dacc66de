import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { request as plainRequest, type ClientRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { connect } from "node:net";
import type { Fault } from "../simulator.ts";
import { put } from "./documents.ts";

/** Posts what a pretend device tells to the gateway's webhook. */

export interface Webhook {
  readonly listen: string;
  readonly token: string;
  readonly signature?: { readonly header: string; readonly key: string };
  readonly id?: string;
  readonly tls?: unknown;
  /** The device's own certificate. */
  readonly client?: { readonly cert: string; readonly key: string };
}

export class Poster {
  readonly #webhook: Webhook;
  readonly #log: (text: string) => void;
  readonly #running = new Set<ClientRequest>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(webhook: Webhook, log: (text: string) => void) {
    this.#webhook = webhook;
    this.#log = log;
  }

  /** Sends a message as the fault lets it: at once, after `delayMs`, as rubbish, or not at all. */
  post(message: unknown, fault: Fault | undefined, delayMs: number): void {
    if (this.#webhook.id !== undefined) put(message, this.#webhook.id, randomUUID());
    const body = fault === "garbage" ? randomBytes(64) : Buffer.from(JSON.stringify(message));
    if (fault === "silent" || fault === "refuse" || fault === "restart") return;
    if (fault === "hangUp") return this.#hangUp();
    if (fault !== "slow" && fault !== "late") return this.#send(body);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#send(body);
    }, delayMs);
    this.#timers.add(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const request of this.#running) request.destroy();
  }

  get #place(): { host: string; port: number } {
    const [, host = "", port = "0"] = /^\[?([^\]]+)\]?:(\d+)$/.exec(this.#webhook.listen) ?? [];
    return { host, port: Number(port) };
  }

  #hangUp(): void {
    const socket = connect(this.#place, () => socket.end("POST /hook"));
    socket.on("error", () => {});
  }

  #send(body: Buffer): void {
    const { token, signature, tls, client } = this.#webhook;
    const proof =
      signature === undefined
        ? {}
        : {
            [signature.header]: `sha256=${createHmac("sha256", signature.key).update(body).digest("hex")}`,
          };
    const options = {
      ...this.#place,
      agent: false as const,
      method: "POST",
      path: `/hook/${token}`,
      headers: { "Content-Type": "application/json", "Content-Length": body.length, ...proof },
    };
    const request =
      tls === undefined
        ? plainRequest(options)
        : tlsRequest({ ...options, rejectUnauthorized: false, ...client });
    this.#running.add(request);
    request.setTimeout(5000, () => request.destroy());
    request.on("error", (error) => this.#log(`http simulator: not posted: ${error.message}`));
    request.on("close", () => this.#running.delete(request));
    request.on("response", (response) => {
      if (response.statusCode !== 204) this.#log(`http simulator: answered ${response.statusCode}`);
      response.resume();
    });
    request.end(body);
  }
}
