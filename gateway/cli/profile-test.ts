import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../errors.ts";
import { profileFolder } from "../profiles.ts";
import { libraryCassettes, loadCassette, playCassette } from "./cassettes.ts";
import { notFoundError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { printData, printLines } from "./output.ts";
import { recordWords } from "./record-words.ts";

export interface ProfileTestOptions {
  /** Another folder of profiles than kerb's own. */
  profiles?: string;
  json?: boolean;
  lang?: Language;
}

/** More than a person reads. */
const shownMax = 40;

/**
 * `kerb profile test`: plays cassettes, or all of the library, to their drivers and compares the readings with those
 * recorded. Exit codes: 6 something differs, 3 no such file, 78 a cassette or its profile is wrong.
 */
export async function profileTest(given: readonly string[], options: ProfileTestOptions): Promise<number> {
  const words = recordWords[languageOf(options.lang)];
  const folder = options.profiles === undefined ? profileFolder : resolve(options.profiles);
  const missing = given.find((file) => !existsSync(file));
  if (missing !== undefined) throw notFoundError(words.noFile(printable(missing)), words.noFileCure);
  let isRed = false;
  for (const file of given.length === 0 ? libraryCassettes(folder) : given) {
    const cassette = loadCassette(file);
    const { differences, failure, unknown } = await playCassette(cassette, file, folder);
    const isSame = differences.length === 0 && failure === undefined;
    isRed ||= !isSame;
    const { profile, reads, records } = cassette;
    if (options.json === true) {
      printData("profile-test", { file, profile, isSame, differences, failure: failure ?? null, unknown });
      continue;
    }
    const count = reads.reduce((sum, read) => sum + Object.keys(read).length, records.length);
    const lost = failure === undefined ? words.differs(differences.length) : words.lost(printable(failure));
    const list = differences.slice(0, shownMax).map(({ point, read, expected, found }) => {
      return `  ${printable(words.difference(point, read, expected, found))}`;
    });
    if (differences.length > shownMax) list.push(`  … ${differences.length - shownMax}`);
    if (unknown > 0 && !isSame) list.push(`  ${words.unknown(unknown)}`);
    printLines([`${shownFile(resolve(file))}   ${profile}   ${isSame ? words.same(count) : lost}`, ...list]);
  }
  return isRed ? exitCodes.findings : exitCodes.ok;
}
