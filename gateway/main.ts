import { Command, Option } from "commander";

/**
 * The `kerb` command line. Each verb is a file under cli/, loaded when it is called: `kerb --help` must not pay
 * for a driver, a database or a schema.
 */

const program = new Command("kerb")
  .description("Edge gateway for roadside and district hardware: every event is delivered or accounted for.")
  .showSuggestionAfterError()
  .helpCommand(false);

const json = new Option("--json", "machine-readable output");

program
  .command("run")
  .description("run the gateway of a site file until Ctrl-C")
  .argument("<file>", "site file, such as config/district/gateway.yaml")
  .action(async (file: string) => finish((await import("./cli/run.ts")).run(file)));

program
  .command("check")
  .description("check a site file and everything that it names")
  .argument("<file>", "site file")
  .addOption(json)
  .action(async (file: string, options: { json?: boolean }) => finish((await import("./cli/check.ts")).check(file, options)));

program
  .command("simulate")
  .description("pretend to be the devices of a site file")
  .requiredOption("--site <file>", "site file: one pretend device for each of its devices, at its address")
  .action(async (options: { site: string }) => finish((await import("./cli/simulate.ts")).simulateSite(options.site)));

async function finish(code: Promise<number>): Promise<void> {
  process.exitCode = await code.catch(async (error: Error) => {
    const { ConfigError, exitCodes } = await import("./errors.ts");
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.render({ colour: process.stderr.isTTY && process.env["NO_COLOR"] === undefined })}\n`);
      return exitCodes.configInvalid;
    }
    process.stderr.write(`kerb: ${error.message}\n`);
    return exitCodes.unexpected;
  });
  process.exit();
}

await program.parseAsync();
