import type { AddressInfo } from "node:net";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { periodsMax } from "./certificates.ts";
import { ngsiLdApi } from "./ngsi-ld/api.ts";
import type { Receiver } from "./receiver.ts";
import { refusedHost } from "../own-host.ts";
import { StoreError } from "./database.ts";

/** Most items of one answer. */
const limitMax = 1000;
const connectionsMax = 256;

/** What the API needs beside the receiver. */
export interface ApiOptions {
  /** Whether the link to the broker is up; absent = there is none. */
  connected?: () => boolean;
}

/**
 * The receiver's HTTP API; read-only. Every error is `{"error": "<sentence>"}`, but below /ngsi-ld/v1, which is the
 * newest values as NGSI-LD entities with the errors of that standard.
 */
export function receiverApi(receiver: Receiver, options: ApiOptions = {}): Hono {
  const api = new Hono();
  api.get("/health", (context) => {
    const stored = receiver.flush();
    const connected = options.connected?.() ?? true;
    const body = {
      ok: stored && connected,
      database: stored ? "ok" : "refuses data",
      broker: connected ? "connected" : "lost",
    };
    return context.json({ ...body, run: receiver.run }, body.ok ? 200 : 503);
  });
  api.get("/gateways", (context) => {
    const limit = whole(context.req.query("limit"), "limit", 1, limitMax, limitMax);
    return context.json({
      run: receiver.run,
      gateways: receiver.summaries(context.req.query("after") ?? "", limit),
    });
  });
  api.get("/gateways/:gateway/events", (context) => {
    const gateway = known(receiver, context.req.param("gateway"));
    const epoch = whole(context.req.query("epoch"), "epoch", 0, Number.MAX_SAFE_INTEGER, 0);
    const after = whole(context.req.query("after"), "after", 0, Number.MAX_SAFE_INTEGER, 0);
    const limit = whole(context.req.query("limit"), "limit", 1, limitMax, limitMax);
    return context.json({ gateway, ...receiver.events(gateway, { epoch, after }, limit) });
  });
  api.get("/gateways/:gateway/latest", (context) => {
    const gateway = known(receiver, context.req.param("gateway"));
    return context.json({ gateway, ...receiver.latest(gateway) });
  });
  api.get("/gateways/:gateway/rejected", (context) => {
    const gateway = known(receiver, context.req.param("gateway"));
    const rejected = receiver.rejected(gateway).map(({ receivedMs, lane, reason, body }) => {
      return { receivedMs, lane, reason, body: Buffer.from(body).toString("base64") };
    });
    return context.json({ gateway, rejected });
  });
  api.get("/certificates/key", (context) => {
    const { signer } = receiver;
    if (signer === undefined)
      throw new HTTPException(404, { message: "This receiver does not sign its certificates." });
    return context.json({ key: signer.id, algorithm: "Ed25519", publicKey: signer.publicKey });
  });
  api.get("/certificates", async (context) => {
    const gateway = known(receiver, context.req.query("gw") ?? "");
    const fromMs = time(context.req.query("from"), "from");
    const toMs = time(context.req.query("to"), "to");
    const limit = whole(context.req.query("limit"), "limit", 1, periodsMax, periodsMax);
    const recheck = context.req.query("recheck") !== undefined;
    return context.json(await receiver.certificates(gateway, { fromMs, toMs }, limit, recheck));
  });
  commandsApi(api, receiver);
  twinsApi(api, receiver);
  api.route(
    "/ngsi-ld/v1",
    ngsiLdApi(() => receiver.view()),
  );
  api.notFound((context) =>
    context.json({ error: `There is nothing at ${context.req.method} ${context.req.path}.` }, 404),
  );
  api.onError((error, context) => {
    if (error instanceof HTTPException) return context.json({ error: error.message }, error.status);
    if (error instanceof StoreError) return context.json({ error: `${error.message}.` }, 503);
    return context.json({ error: `The request failed: ${error.message}.` }, 500);
  });
  return api;
}

/** What gateways have told of commands: all of one gateway, or of all, the newest first; and one by its id. */
function commandsApi(api: Hono, receiver: Receiver): void {
  api.get("/commands", (context) => {
    const named = context.req.query("gw");
    const gateway = named === undefined ? "" : known(receiver, named);
    const limit = whole(context.req.query("limit"), "limit", 1, limitMax, 100);
    const before = context.req.query("before") ?? "~";
    const commands = receiver.view().commands.page(gateway, before, limit);
    const next = commands.length === limit ? (commands.at(-1)?.id ?? null) : null;
    return context.json({ commands, next });
  });
  api.get("/commands/:id", (context) => {
    const id = context.req.param("id");
    const [command] = receiver.view().commands.byId(id, context.req.query("gw"));
    if (command === undefined)
      throw new HTTPException(404, { message: `No gateway has told of a command "${id.slice(0, 40)}".` });
    return context.json(command);
  });
}

/** What gateways have of their twins, the newest of each; the next page: `?after=` the last gateway. */
function twinsApi(api: Hono, receiver: Receiver): void {
  api.get("/twins", (context) => {
    const limit = whole(context.req.query("limit"), "limit", 1, limitMax, limitMax);
    const twins = receiver.view().twins.page(context.req.query("after") ?? "", limit);
    return context.json({ twins, next: twins.length === limit ? (twins.at(-1)?.gateway ?? null) : null });
  });
}

function known(receiver: Receiver, gateway: string): string {
  if (!receiver.knows(gateway))
    throw new HTTPException(404, { message: `No gateway "${gateway}" has been heard.` });
  return gateway;
}

function whole(text: string | undefined, name: string, least: number, most: number, absent: number): number {
  if (text === undefined) return absent;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new HTTPException(400, {
    message: `"${name}" must be a whole number from ${least} to ${most}, not "${text.slice(0, 40)}".`,
  });
}

/** ms since 1970, or what ISO 8601 calls a time. */
function time(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,14}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new HTTPException(400, {
    message: `"${name}" must be a time such as 2026-11-01T00:00Z or ms since 1970, not "${text.slice(0, 40)}".`,
  });
}

/** A listening API; `url` has the port that was taken. */
export interface ApiServer {
  url: string;
  close: () => Promise<void>;
}

/** It cannot listen there. `code`: the system's, such as EADDRINUSE; "form": it is no host:port. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string, cause?: Error) {
    super(message, { cause });
    this.code = code;
  }
}

/**
 * Listens on `host:port` (port 0 = any). `names`: by which it is asked besides. Rejects with `ListenError` if the
 * address cannot be taken.
 */
export async function serveApi(api: Hono, listen: string, names: readonly string[] = []): Promise<ApiServer> {
  const { host, port } = parseListen(listen);
  const fetch: typeof api.fetch = (request, ...more) => {
    const refused = refusedHost(request.headers.get("host"), [host, ...names]);
    return refused === undefined
      ? api.fetch(request, ...more)
      : Response.json({ error: `${refused}, or start kerb receive with --host NAME.` }, { status: 421 });
  };
  const server = createAdaptorServer({ fetch }) as Server;
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new ListenError(
          error.code ?? "",
          `The HTTP API cannot listen on ${listen}: ${error.message}.`,
          error,
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  // After listening an error concerns one connection only.
  server.on("error", () => {});
  const address = server.address() as AddressInfo;
  return {
    url: `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function parseListen(listen: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535)
    throw new ListenError("form", `"${listen}" is not an address to listen on; write it as 127.0.0.1:8788.`);
  return { host, port };
}
