import { resolve } from "node:path";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { profileFolder } from "../../profiles/profiles.ts";
import { libraryCassettes, playCassette } from "./cassettes.ts";
import { notFoundError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { loadCassette } from "./load-cassette.ts";
import { printData, printLines } from "../output.ts";
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
 * recorded. Exit codes: 6 something differs, or nothing was compared; 3 no such file, 78 a cassette or its profile is
 * wrong.
 */
export async function profileTest(given: readonly string[], options: ProfileTestOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = recordWords[language];
  const folder = options.profiles === undefined ? profileFolder : resolve(options.profiles);
  const files = given.length === 0 ? libraryCassettes(folder) : given;
  if (files.length === 0) throw notFoundError(words.noCassettes(shownFile(folder)), words.noFileCure);
  const cassettes = files.map((file) => ({ file, cassette: loadCassette(file, language) }));
  let isRed = false;
  for (const { file, cassette } of cassettes) {
    const { profile, reads, records } = cassette;
    const compared = reads.reduce((sum, read) => sum + Object.keys(read).length, records.length);
    const { differences, failure, unknown } = await playCassette(cassette, file, folder);
    // What compares nothing would be the same whatever the profile says.
    const isEmpty = compared === 0;
    const isSame = differences.length === 0 && failure === undefined && !isEmpty;
    isRed ||= !isSame;
    if (options.json === true) {
      const why = isEmpty ? words.nothingCompared : (failure ?? null);
      const result = { isSame, compared, differences, failure: why, unknown };
      printData("profile-test", { file, profile, ...result });
      continue;
    }
    const lost = failure === undefined ? words.differs(differences.length) : words.lost(printable(failure));
    const verdict = isEmpty ? words.nothingCompared : isSame ? words.same(compared) : lost;
    const list = differences.slice(0, shownMax).map(({ point, read, expected, found }) => {
      return `  ${printable(words.difference(point, read, expected, found))}`;
    });
    if (differences.length > shownMax) list.push(`  … ${differences.length - shownMax}`);
    if (unknown > 0 && !isSame) list.push(`  ${words.unknown(unknown)}`);
    printLines([`${shownFile(resolve(file))}   ${profile}   ${verdict}`, ...list]);
  }
  return isRed ? exitCodes.findings : exitCodes.ok;
}
