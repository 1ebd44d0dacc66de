import { randomUUID } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv4 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeviceError,
  type Discovery,
  type Found,
  type Identity,
  type Look,
  type Range,
  type WirePlace,
} from "../../gateway/driver.ts";
import { Camera } from "./camera.ts";
import { OnvifConnection } from "./connection.ts";
import { exchange } from "./http.ts";
import { settings as schema } from "./settings.ts";
import { all, at, isTree, parse, SoapFault, textAt } from "./soap.ts";

/** Cameras: by WS-Discovery (1.0, 2005) on the networks of this box, and by the time that each tells without a login. */
export const discovery: Discovery = { tcp: [80], turn: 4, onNetwork, atPort };

const group = "239.255.255.250";
const groupPort = 3702;
const foundMax = 500;
const answerBytesMax = 65_536;
const timeoutMs = 2500;
const textMax = 200;
/** A probe may be lost: it is said twice (WS-Discovery, appendix I). */
const againMs = 500;
const defaultPath = "/onvif/device_service";
const login = ["user", "password"] as const;

function probe(): string {
  const {
    soap,
    addressing,
    discovery: own,
    types,
  } = {
    soap: "http://www.w3.org/2003/05/soap-envelope",
    addressing: "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    discovery: "http://schemas.xmlsoap.org/ws/2005/04/discovery",
    types: "http://www.onvif.org/ver10/network/wsdl",
  };
  const header =
    `<a:MessageID>urn:uuid:${randomUUID()}</a:MessageID>` +
    "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>" +
    `<a:Action>${own}/Probe</a:Action>`;
  const body = `<d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe>`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="${soap}" xmlns:a="${addressing}" xmlns:d="${own}"` +
    ` xmlns:dn="${types}"><s:Header>${header}</s:Header><s:Body>${body}</s:Body></s:Envelope>`
  );
}

function scopesOf(match: unknown): Identity {
  const scopes = textAt(match, "Scopes")?.split(/\s+/) ?? [];
  const named = (kind: string): string | undefined => {
    const scope = scopes.find((one) => one.startsWith(`onvif://www.onvif.org/${kind}/`));
    try {
      return scope === undefined
        ? undefined
        : decodeURIComponent(scope.split("/")[4] ?? "").slice(0, textMax);
    } catch {
      return undefined;
    }
  };
  const [vendor, model] = [named("name"), named("hardware")];
  return { ...(vendor === undefined ? {} : { vendor }), ...(model === undefined ? {} : { model }) };
}

/** What a match says, with the sender as the only machine; undefined: nothing of use. */
export function foundIn(xml: string, sender: string): Found | undefined {
  try {
    const match = all(at(parse(xml), "ProbeMatches"), "ProbeMatch")[0];
    if (!isTree(match)) return undefined;
    const urls = (textAt(match, "XAddrs") ?? "").split(/\s+/).flatMap((text) => URL.parse(text) ?? []);
    // An address of another machine is a lie or a NAT: neither can be followed.
    const owns = urls.filter(({ hostname }) => hostname === sender);
    const own = ["https:", "http:"].flatMap((one) => owns.find(({ protocol }) => protocol === one) ?? [])[0];
    if (own === undefined) return undefined;
    const isSecure = own.protocol === "https:";
    const port = Number(own.port || (isSecure ? 443 : 80));
    const path = own.pathname.slice(0, textMax);
    return {
      place: `${sender}:${port}`,
      at: { host: sender, port },
      settings: {
        // Which certificate is the right one a probe cannot tell: the first connection asks for its pin.
        ...(isSecure ? { tls: {} } : {}),
        ...(path === defaultPath ? {} : { servicePath: path }),
      },
      identity: scopesOf(match),
      needs: login,
    };
  } catch {
    return undefined;
  }
}

/** A socket of one address of this machine, whose probes go no further than its own network. */
async function mouthAt(address: string): Promise<Socket> {
  const socket = createSocket("udp4");
  // Whatever comes in must not end the process.
  socket.on("error", () => {});
  const listening = once(socket, "listening");
  socket.bind(0, address);
  await listening;
  socket.setMulticastInterface(address);
  socket.setMulticastTTL(1);
  return socket;
}

async function* onNetwork({ has, own }: Range, { signal, forMs, tell }: Look): AsyncGenerator<Found> {
  const from = own.filter((address) => isIPv4(address) && has(address));
  if (from.length === 0) return;
  tell("WS-Discovery");
  const sockets = await Promise.all(from.map(mouthAt));
  const queue: Found[] = [];
  const seen = new Set<string>();
  for (const socket of sockets)
    socket.on("message", (bytes, { address }) => {
      if (seen.has(address) || seen.size >= foundMax || !has(address) || bytes.length > answerBytesMax)
        return;
      const found = foundIn(bytes.toString("utf8"), address);
      if (found === undefined) return;
      seen.add(address);
      queue.push(found);
    });
  const say = (): void => sockets.forEach((socket) => socket.send(probe(), groupPort, group, () => {}));
  try {
    say();
    const startedMs = performance.now();
    let isSaidAgain = false;
    while (performance.now() - startedMs < forMs) {
      await sleep(50, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw new DeviceError("aborted", "the search was given up");
      if (!isSaidAgain && performance.now() - startedMs > againMs) {
        isSaidAgain = true;
        say();
      }
      yield* queue.splice(0);
    }
  } finally {
    for (const socket of sockets) socket.close();
  }
}

/**
 * Nothing is posted to a web server that has no such page: there a POST might be an order. Cameras say that they
 * want one, or a login.
 */
async function hasService({ place, settings }: Camera, signal: AbortSignal): Promise<boolean> {
  const { host, port, servicePath: path } = settings;
  const asked = { host, port, path, place, trust: undefined, method: "GET", headers: {} } as const;
  try {
    const { status, body } = await exchange({ ...asked, timeoutMs, bytesMax: answerBytesMax, signal });
    return ![404, 410].includes(status) && (status < 300 || status >= 400 || body.includes("Envelope"));
  } catch (error) {
    if (!(error instanceof DeviceError) || error.code === "aborted") throw error;
    // Some hang up on a GET, or say nothing.
    return error.code === "hung-up" || error.code === "silent";
  }
}

/** The time, which every camera tells without a login, and who it is, where it tells that as well. */
async function* atPort({ host, port }: WirePlace, { signal, tell }: Look): AsyncGenerator<Found> {
  const camera = new Camera(schema.parse({ host, port, timeout: timeoutMs }));
  tell(camera.place);
  const found: Found = { place: camera.place, at: { host, port }, identity: {} };
  if (!(await hasService(camera, signal))) return;
  try {
    const skewMs = await camera.measureClock(signal);
    if (skewMs === undefined) return;
  } catch (error) {
    // Whoever answers by SOAP that he wants a login is a camera; a web server says it otherwise.
    if (error instanceof DeviceError && error.code === "aborted") throw error;
    if (error instanceof SoapFault && error.code === "NotAuthorized") yield { ...found, needs: login };
    return;
  }
  try {
    const identity = await new OnvifConnection(camera).identify(signal);
    yield { ...found, identity };
  } catch (error) {
    if (!(error instanceof DeviceError) || error.code === "aborted") throw error;
    yield { ...found, needs: login };
  }
}
