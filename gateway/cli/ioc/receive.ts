import { hostname } from "node:os";
import { Signer } from "../../receiver/certificates.ts";
import { exitCodes } from "../../errors.ts";
import { ListenError, receiverApi, serveApi, type ApiServer } from "../../receiver/http.ts";
import { BrokerLink, type BrokerOptions } from "../../receiver/mqtt.ts";
import { Receiver } from "../../receiver/receiver.ts";
import { languageOf } from "../../words.ts";
import { CommandError, renderComplaint } from "../errors.ts";
import { checkFolder } from "../out-file.ts";
import { hint } from "../output.ts";
import { Arrivals, type Line, printer } from "./receive-log.ts";
import { receiveWords } from "./receive-words.ts";
import { readGiven } from "../files.ts";

/** The link to the broker, and what stands behind it. `name`: the host's name by default. */
export interface ReceiveOptions extends Omit<BrokerOptions, "name" | "log" | "makeLink"> {
  name?: string;
  /** SQLite file. */
  database: string;
  /** host:port of the HTTP API. */
  listen?: string;
  /** Names by which the HTTP API is asked, besides that of `listen`. */
  host?: string[];
  ackIntervalMs?: number;
  /** PEM file of an Ed25519 private key: certificates are signed. */
  signKey?: string;
  /** How often it says what came (a minute). */
  summaryMs?: number;
  /** One JSON object per line instead of text. */
  json?: boolean;
}

const listenDefault = "127.0.0.1:8788";
const summaryMsDefault = 60_000;

/**
 * `kerb receive`: runs the receiver until SIGINT or SIGTERM. Returns the exit code: 0 after a stop, 78 when the
 * options, the database or the address to listen on cannot be used.
 */
export async function receive(options: ReceiveOptions): Promise<number> {
  const print = printer(options.json === true);
  // A reader that went away (a closed pipe) must not end the receiver.
  process.stdout.on("error", () => {});
  let receiver: Receiver | undefined;
  let api: ApiServer | undefined;
  try {
    checkOptions(options);
    const language = languageOf();
    for (const file of [options.ca, options.cert, options.key])
      if (file !== undefined) readGiven(file, language);
    checkFolder(options.database, language);
    const { name = receiverName(), ackIntervalMs, signKey } = options;
    receiver = new Receiver({
      signer: signKey === undefined ? undefined : signerOf(signKey),
      database: options.database,
      log: print,
      ...(ackIntervalMs === undefined ? {} : { ackIntervalMs }),
    });
    const link = new BrokerLink(receiver, { ...options, name, log: print });
    api = await serveApi(
      receiverApi(receiver, { connected: () => link.connected }),
      options.listen ?? listenDefault,
      options.host,
    );
    const { city, database } = options;
    const { url } = api;
    print({ kind: "started", ...both(({ started }) => started(city, database, url)), url });
    if (!isLoopback(url)) print({ kind: "warning", ...both(({ open }) => open) });
    const stopped = stopSignal();
    link.open();
    const { summaryMs = summaryMsDefault } = options;
    const arrivals = new Arrivals(receiver.everyGateway());
    const telling = setInterval(() => {
      const line = arrivals.line(receiver?.everyGateway() ?? [], summaryMs);
      if (line !== undefined) print(line);
    }, summaryMs);
    const signal = await stopped;
    clearInterval(telling);
    await link.close();
    receiver.flush();
    print({ kind: "stopped", ...totals(receiver, signal) });
    return 0;
  } catch (given) {
    const error = given instanceof ListenError ? listenComplaint(given, options.listen) : given;
    const text = error instanceof Error ? error.message : String(error);
    hint(error instanceof CommandError ? renderComplaint(error.complaint) : text);
    return 78;
  } finally {
    await api?.close();
    receiver?.close();
  }
}

/** A sentence for people and one for machines. */
function both(text: (words: (typeof receiveWords)["en"]) => string): Pick<Line, "text" | "said"> {
  return { text: text(receiveWords.en), said: text(receiveWords[languageOf()]) };
}

/** Which port, who may have it, and which flag changes it. */
function listenComplaint({ code, message }: ListenError, listen = listenDefault): CommandError {
  const words = receiveWords[languageOf()];
  const port = listen.split(":").at(-1) ?? "";
  const [title, cure] =
    code === "form"
      ? [words.noListen(listen), words.noListenCure]
      : code === "EADDRINUSE"
        ? [words.taken(listen), words.takenCure(port)]
        : code === "EACCES"
          ? [words.needsRoot(listen), words.needsRootCure]
          : [words.notOurs(listen, code === "" ? message : code), words.notOursCure];
  return new CommandError({ code: "KERB-CLI-TAKEN", exitCode: exitCodes.configInvalid, title, hint: cure });
}

function signerOf(file: string): Signer {
  const pem = readGiven(file, languageOf());
  try {
    return new Signer(pem);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new Error(receiveWords[languageOf()].cannotSign(file, detail), { cause: error });
  }
}

function checkOptions({ broker, city, name, ackIntervalMs }: ReceiveOptions): void {
  const text = receiveWords[languageOf()];
  if (!/^(mqtts?|tcp|ssl):\/\/[^/]+/.test(broker)) throw new Error(text.noBroker(broker));
  if (!/^[a-z0-9-]{2,16}$/.test(city)) throw new Error(text.noCity(city));
  if (name !== undefined && !/^[a-zA-Z0-9._-]{1,64}$/.test(name)) throw new Error(text.noName(name));
  if (ackIntervalMs !== undefined && !(ackIntervalMs >= 20))
    throw new Error(text.shortInterval(ackIntervalMs));
}

function receiverName(): string {
  return (
    hostname()
      .replaceAll(/[^a-zA-Z0-9._-]/g, "-")
      .slice(0, 64) || "receiver"
  );
}

function isLoopback(url: string): boolean {
  return /^http:\/\/(127\.|\[::1\])/.test(url);
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
  });
}

/** Over all runs of a database. */
interface Totals {
  gateways: number;
  events: number;
  duplicates: number;
  rejected: number;
  missing: number;
}

function totals(receiver: Receiver, signal: string): Pick<Line, "text" | "said"> & Totals {
  let gateways = 0;
  let events = 0;
  let duplicates = 0;
  let rejected = 0;
  let missing = 0;
  for (const gateway of receiver.everyGateway()) {
    gateways++;
    events += gateway.eventsStored;
    duplicates += gateway.duplicateEvents;
    rejected += gateway.rejected;
    for (const epoch of gateway.epochs) missing += epoch.missing;
  }
  const said = both(({ stopped }) => stopped(signal, gateways, events, missing, duplicates, rejected));
  return { ...said, gateways, events, missing, duplicates, rejected };
}
