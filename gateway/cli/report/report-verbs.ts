import type { Line } from "../ioc/command-verbs.ts";
import type { ReportOptions } from "./report.ts";
import type { VerifyOptions } from "./report-verify.ts";

/** `kerb report` with its options, and the verbs behind it: `verify`, `key`. */

export function addReportVerbs({ verb, run, options: { site } }: Line): void {
  const group = verb("report").helpCommand(false).enablePositionalOptions();
  group
    .option(
      "-o, --output <file>",
      "an .html (prints to A4; its .json is laid beside it), .json or .csv file; may be given again",
      (file: string, before: string[] | undefined) => [...(before ?? []), file],
    )
    .option("--contract <text>", "number of the contract")
    .option("--contractor <name>", "who hands over")
    .option("--accepted-by <name>", "who accepts")
    .option("--note <text>", "whatever else is to stand in it")
    .addOption(site())
    .action((options: ReportOptions) =>
      run("report", options, async () => (await import("./report.ts")).report(options)),
    );
  group
    .command("verify")
    .description("whether a report is what a box has signed, and which box")
    .argument("<file>", "its .html or .json")
    .option("--key <key>", "the box that must have signed: its key, fingerprint, or a file with the key")
    .action((file: string, options: VerifyOptions) =>
      run("report-verify", options, async () =>
        (await import("./report-verify.ts")).reportVerify(file, options),
      ),
    );
  group
    .command("key")
    .description("the public key of this box, and its fingerprint")
    .addOption(site())
    .action((options: { site?: string; json?: boolean }) =>
      run("report-key", options, async () => (await import("./report-verify.ts")).reportKey(options)),
    );
}
