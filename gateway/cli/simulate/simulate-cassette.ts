import type { Cassette } from "../../cassette/cassette.ts";
import { startPlayer } from "../../cassette/player.ts";
import { driverSchemas, listDrivers } from "../../config/drivers.ts";
import { exitCodes, printable } from "../../errors.ts";
import { startBroker } from "./broker.ts";
import { languageOf } from "../../words.ts";
import { loadCassette } from "../profile/load-cassette.ts";
import { hint, pause, printData, printLines, stopSignal } from "../output.ts";
import { simulateWords } from "./simulate-words.ts";

const gapMsMax = 10_000;
const log = (text: string): void => hint(printable(text));
const defaultPort = 1502;
const defaultBrokerPort = 18_830;
const defaultSessionPort = 14_840;
const defaultCalledPort = 12_111;

/** Where a device calls is where kerb listened when it was recorded. */
function portOf({ over, settings }: Cassette): number {
  const { port } = settings;
  if (over === "calls") return typeof port === "number" ? port : defaultCalledPort;
  return over === "mqtt" ? defaultBrokerPort : over === "opcua" ? defaultSessionPort : defaultPort;
}

/** `kerb simulate --cassette`: a device that answers as the recorded one did, until Ctrl-C. */
export async function simulateCassette(
  file: string,
  given: number | undefined,
  isJson: boolean,
): Promise<number> {
  const cassette = loadCassette(file, languageOf());
  const port = given ?? portOf(cassette);
  const signal = stopSignal();
  // A tape is a file like any other: only what is installed is loaded by the name that it has.
  const isKnown = listDrivers().includes(cassette.driver);
  const retold = isKnown ? (await driverSchemas(cassette.driver)).retold : undefined;
  const player = await startPlayer(cassette, { port, gapMsMax, startBroker, retold, log });
  const address = `${player.place.host}:${player.place.port}`;
  const { profile, over } = cassette;
  if (isJson) printData("simulate", { profile, over, address, pid: process.pid });
  else {
    const text = simulateWords[languageOf()];
    printLines([
      printable(
        `${profile}   ${over === "calls" ? text.calls : text.at} ${address} (${over === "calls" ? "tcp" : over})   ${text.recorded(cassette.recorded)}`,
      ),
    ]);
    hint(text.ctrlC);
  }
  while (!signal.aborted) await pause(60_000, signal);
  await player.close();
  return exitCodes.ok;
}
