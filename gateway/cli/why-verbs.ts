import type { Command, Option } from "commander";
import type { Language } from "../config/error-texts.ts";

/** The verbs that say what is wrong: `why`, `problems`, `doctor`. */

interface Line {
  verb: (name: string) => Command;
  run: (kind: string, options: { json?: boolean }, work: () => Promise<number>) => Promise<void>;
  options: { site: () => Option; language: () => Option };
}

interface Common {
  json?: boolean;
  site?: string;
  lang?: Language;
}

export function addWhyVerbs({ verb, run, options: { site, language } }: Line): void {
  verb("why")
    .argument("<device>", "its id in the site file")
    .addOption(site())
    .addOption(language())
    .action((device: string, options: Common) =>
      run("why", options, async () => (await import("./why.ts")).why(device, options)),
    );
  verb("problems")
    .addOption(site())
    .addOption(language())
    .action((options: Common) =>
      run("problems", options, async () => (await import("./problems.ts")).problems(options)),
    );
  verb("doctor")
    .addOption(site())
    .addOption(language())
    .action((options: Common) =>
      run("doctor", options, async () => (await import("./doctor.ts")).doctor(options)),
    );
}
