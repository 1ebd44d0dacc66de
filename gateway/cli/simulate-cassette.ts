import { existsSync } from "node:fs";
import { startPlayer } from "../cassette/player.ts";
import { exitCodes, printable } from "../errors.ts";
import { loadCassette } from "./cassettes.ts";
import { notFoundError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { hint, pause, printData, printLines, stopSignal } from "./output.ts";
import { recordWords } from "./record-words.ts";

const gapMsMax = 10_000;

/** `kerb simulate --cassette`: a device that answers as the recorded one did, until Ctrl-C. */
export async function simulateCassette(file: string, port: number, isJson: boolean): Promise<number> {
  const words = recordWords[languageOf(undefined)];
  if (!existsSync(file)) throw notFoundError(words.noFile(printable(file)), words.noFileCure);
  const cassette = loadCassette(file);
  const signal = stopSignal();
  const player = await startPlayer(cassette, { port, gapMsMax, log: (text) => hint(printable(text)) });
  const address = `${player.place.host}:${player.place.port}`;
  const { profile, over } = cassette;
  if (isJson) printData("simulate", { profile, over, address, pid: process.pid });
  else {
    printLines([printable(`${profile}   at ${address} (${over})   as recorded ${cassette.recorded}`)]);
    hint("Ctrl-C ends it.");
  }
  while (!signal.aborted) await pause(60_000, signal);
  await player.close();
  return exitCodes.ok;
}
