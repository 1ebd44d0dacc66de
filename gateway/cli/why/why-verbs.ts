import type { Language } from "../../config/error-texts.ts";
import type { Line } from "../ioc/command-verbs.ts";

/** The verbs that say what is wrong: `why`, `problems`, `doctor`. */

interface Common {
  json?: boolean;
  site?: string;
  lang?: Language;
}

export function addWhyVerbs({ verb, run, options: { site } }: Line): void {
  verb("why")
    .argument("<device>", "its id in the site file")
    .addOption(site())
    .action((device: string, options: Common) =>
      run("why", options, async () => (await import("./why.ts")).why(device, options)),
    );
  verb("problems")
    .addOption(site())
    .action((options: Common) =>
      run("problems", options, async () => (await import("./problems.ts")).problems(options)),
    );
  verb("doctor")
    .addOption(site())
    .action((options: Common) =>
      run("doctor", options, async () => (await import("./doctor.ts")).doctor(options)),
    );
}
