import { dirname, resolve } from "node:path";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable } from "../../errors.ts";
import { openSnapshot, snapshotFolder } from "../../snapshots.ts";
import { CommandError, notFoundError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { printData, printLines } from "../output.ts";
import { controlSocket, findSite } from "../site.ts";
import { snapshotWords } from "./snapshot-words.ts";
import { writeGiven } from "../files.ts";

export interface SnapshotOptions {
  site?: string;
  output: string;
  json?: boolean;
  lang?: Language;
}

const failed = (title: string, hint: string) =>
  new CommandError({ code: "KERB-CLI-FAILED", exitCode: exitCodes.unexpected, title, hint });

/** `kerb snapshot`: decrypts one kept picture on this box into a file of its own, for this user alone. */
export async function snapshot(ref: string, options: SnapshotOptions): Promise<number> {
  const text = snapshotWords[languageOf(options.lang)];
  const folder = snapshotFolder(dirname(controlSocket(findSite(options.site))));
  const picture = await openSnapshot(folder, ref).catch((error: Error) => {
    throw failed(text.broken, `${text.brokenHint} (${error.message})`);
  });
  if (picture === undefined) throw notFoundError(text.gone, text.goneHint);
  const { device, type, takenMs, bytes } = picture;
  const file = resolve(options.output);
  // A file that is there already may be open to others, or be a link to elsewhere.
  writeGiven(file, bytes, { mode: 0o600, flag: "wx" }, languageOf(options.lang));
  const taken = new Date(takenMs).toISOString();
  if (options.json === true) printData("snapshot", { file, device, type, taken, bytes: bytes.length });
  else printLines([`${file}   ${printable(type)}   ${text.taken} ${printable(device)} ${text.at} ${taken}`]);
  return exitCodes.ok;
}
