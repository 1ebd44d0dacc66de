import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { TLSSocket } from "node:tls";
import { DeviceError, type Discovery, type Found, type Look, type WirePlace } from "../../gateway/driver.ts";

/** Web servers: one GET of "/", which changes nothing anywhere; wherever it leads, that is not followed. */
export const discovery: Discovery = { tcp: [80, 443], turn: 5, atPort };

const timeoutMs = 2500;
const bodyBytesMax = 16_384;
const textMax = 120;
const tlsPort = 443;

interface Page {
  status: number;
  server: string;
  title: string;
  type: string;
  /** SHA-256 of the certificate, hex. */
  pin: string | undefined;
  wants: string;
}

async function* atPort({ host, port }: WirePlace, { signal, tell }: Look): AsyncGenerator<Found> {
  const place = `${host}:${port}`;
  tell(place);
  const page = await pageOf(host, port, port === tlsPort, signal);
  if (page === undefined) return;
  const { status, server, title, type, pin, wants } = page;
  const told = { status: String(status), server, title, type, login: wants };
  const more = Object.fromEntries(Object.entries(told).filter(([, text]) => text !== ""));
  yield {
    place,
    at: { host, port },
    settings: pin === undefined ? {} : { tls: { pin: `sha256:${pin}` } },
    identity: { more },
    ...(status === 401 || status === 403 ? { needs: ["auth"] } : {}),
  };
}

/** What is shown at "/"; undefined: this is no web server. */
async function pageOf(
  host: string,
  port: number,
  isSecure: boolean,
  signal: AbortSignal,
): Promise<Page | undefined> {
  const { promise, resolve } = Promise.withResolvers<Page | undefined>();
  const send = isSecure ? httpsRequest : httpRequest;
  // Nothing secret is said, so that it does not matter whose certificate it is.
  const tls = isSecure ? { rejectUnauthorized: false } : {};
  const headers = { Connection: "close", "User-Agent": "kerb" };
  const sent = send({ host, port, path: "/", agent: false, maxHeaderSize: 16_384, headers, ...tls });
  const timer = setTimeout(() => sent.destroy(), timeoutMs);
  const giveUp = (): void => void sent.destroy();
  signal.addEventListener("abort", giveUp, { once: true });
  sent.on("error", () => resolve(undefined));
  sent.on("close", () => resolve(undefined));
  sent.on("response", (reply) => {
    const pin = isSecure
      ? (reply.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256.replaceAll(":", "").toLowerCase()
      : undefined;
    let body = Buffer.alloc(0);
    const done = (): void => resolve({ ...pageIn(reply, body.toString("latin1")), pin });
    reply.on("error", done);
    reply.on("data", (chunk: Buffer) => {
      body = Buffer.concat([body, chunk]).subarray(0, bodyBytesMax);
      if (body.length < bodyBytesMax) return;
      done();
      sent.destroy();
    });
    reply.on("end", done);
    reply.on("close", done);
  });
  sent.end();
  try {
    const page = await promise;
    if (signal.aborted) throw new DeviceError("aborted", `${host}:${port}: given up`);
    return page;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    sent.destroy();
  }
}

const cut = (text: string | readonly string[] | undefined): string =>
  [text ?? ""].flat().join(", ").replaceAll(/\s+/g, " ").trim().slice(0, textMax);

function pageIn({ statusCode = 0, headers }: IncomingMessage, body: string): Omit<Page, "pin"> {
  return {
    status: statusCode,
    server: cut(headers.server),
    title: cut(/<title[^>]*>([^<]{1,300})</i.exec(body)?.[1]),
    type: cut(headers["content-type"]),
    wants: cut(headers["www-authenticate"]),
  };
}
