import { createInterface } from "node:readline/promises";
import type { Language } from "../config/error-texts.ts";
import { exitCodes } from "../errors.ts";
import { agreedWords } from "./agreed-words.ts";
import { CommandError } from "./errors.ts";

/**
 * Whether a person, or `--yes`, agrees to what was shown. `undone`: the sentence for that nothing was done. Throws
 * KERB-CLI-NEEDS-YES (exit code 7) where nobody can be asked.
 */
export async function agreed(
  { yes, json }: { yes?: boolean; json?: boolean },
  undone: string,
  language: Language,
): Promise<boolean> {
  if (yes === true) return true;
  const words = agreedWords[language];
  if (json === true || !process.stdin.isTTY)
    throw new CommandError({
      code: "KERB-CLI-NEEDS-YES",
      exitCode: exitCodes.notAllowed,
      title: words.nobody(undone),
      hint: words.nobodyCure,
      language,
    });
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^(y|yes|c|có)$/i.test((await lines.question(words.go)).trim());
  } finally {
    lines.close();
  }
}
