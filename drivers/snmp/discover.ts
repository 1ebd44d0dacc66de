import { createSocket } from "node:dgram";
import { setImmediate as polled, setTimeout as sleep } from "node:timers/promises";
import { DeviceError, type Discovery, type Found, type Look, type WirePlace } from "../../gateway/driver.ts";
import { Client } from "./client.ts";
import { aborted } from "./errors.ts";
import { Fetcher } from "./fetch.ts";
import { readHeader } from "./header.ts";
import { identify } from "./identify.ts";
import { Peer } from "./peer.ts";
import { settings as schema } from "./settings.ts";

/**
 * Agents: by the community "public", which everybody reads with, as SNMPv2c or else as v1; and those of SNMPv3, which
 * say to anybody which engine they are (RFC 3414, 4).
 */
export const discovery: Discovery = { udp: [161], turn: 3, atPort };

const timeoutMs = 1000;
/** Between two questions. An answer bears its version: it is heard although others have been asked since. */
const nextMs = 800;

/** GetRequest of sysObjectID with the community "public"; 1 is SNMPv2c. */
const whatAreYou = (version: 0 | 1): string =>
  `302602010${version}04067075626c6963a019020101020100020100300e300c06082b060102010102000500`;

/** GetRequest of SNMPv3 by nobody, who asks for a report: message 1, no engine, no user, no objects. */
const whoAreYou =
  "303a020103300f02020001020300ffe3040104020103" +
  "0410300e0400020100020100040004000400" +
  "301204000400a00c020200010201000201003000";

/** Each twice: a datagram may be lost. */
const questions = [whatAreYou(1), whatAreYou(0), whoAreYou, whatAreYou(1), whatAreYou(0), whoAreYou];

type Answer = { version: "1" | "2c" } | { version: "3"; engine: string };

async function* atPort({ host, port }: WirePlace, { signal, tell }: Look): AsyncGenerator<Found> {
  const place = `${host}:${port}`;
  tell(place);
  const answer = await whoAnswers(host, port, signal);
  if (answer === undefined) return;
  const { version } = answer;
  const found = { place, at: { host, port } };
  if (version === "3") {
    const more = { snmpEngineID: answer.engine };
    yield { ...found, settings: { version }, identity: { more }, needs: ["security"] };
    return;
  }
  const settings = { version, community: "public" };
  yield { ...found, settings, identity: await named(host, port, version, signal) };
}

/** Who it says it is; nothing, where it says so little. */
async function named(
  host: string,
  port: number,
  version: "1" | "2c",
  signal: AbortSignal,
): Promise<Found["identity"]> {
  const settings = schema.parse({ host, port, version, timeout: timeoutMs });
  const place = `${host}:${port}`;
  const client = new Client(await Peer.connect(host, port, place, signal), settings, place);
  try {
    return await identify(new Fetcher(client, 1), settings, place, signal);
  } catch (error) {
    if (!(error instanceof DeviceError) || error.code === "aborted") throw error;
    return {};
  } finally {
    client.close();
  }
}

/** The first version that is answered; undefined: nobody answers. Throws a `DeviceError`: aborted. */
async function whoAnswers(host: string, port: number, signal: AbortSignal): Promise<Answer | undefined> {
  const place = `${host}:${port}`;
  if (signal.aborted) throw aborted(place);
  const socket = createSocket("udp4");
  const end = new AbortController();
  const giveUp = (): void => end.abort();
  signal.addEventListener("abort", giveUp, { once: true });
  let answer: Answer | undefined;
  // Nothing listens there, or no way leads there.
  socket.on("error", giveUp);
  socket.on("message", (bytes) => {
    answer ??= answerIn(bytes);
    if (answer !== undefined) giveUp();
  });
  try {
    // Connected: nobody else is heard.
    await new Promise<void>((resolve) => {
      end.signal.addEventListener("abort", () => resolve(), { once: true });
      socket.once("connect", resolve);
      socket.connect(port, host);
    });
    for (const question of questions) {
      if (end.signal.aborted) break;
      socket.send(Buffer.from(question, "hex"), (error) => {
        // A queue that is full is no reason; the next question goes.
        if (error !== null && "code" in error && error.code === "ECONNREFUSED") giveUp();
      });
      await pause(nextMs, end.signal);
    }
    await pause(timeoutMs - nextMs, end.signal);
    // On a busy machine the time may be over before what has come was looked at.
    await polled();
  } finally {
    signal.removeEventListener("abort", giveUp);
    socket.close();
  }
  if (signal.aborted) throw aborted(place);
  return answer;
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => {});

const [response, report] = [0xa2, 0xa8];

function answerIn(bytes: Buffer): Answer | undefined {
  const header = readHeader(bytes);
  if (header?.version === 3 && header.pduType === report && header.engineId !== "")
    return { version: "3", engine: header.engineId.slice(0, 64) };
  if (header?.pduType !== response || header.version === 3) return undefined;
  return { version: header.version === 1 ? "2c" : "1" };
}
