import type { Command } from "commander";
import { addLoginOptions, type Line } from "./command-verbs.ts";
import type { TwinOptions } from "./twin.ts";

/** `kerb twin`: what the IOC wants a gateway's configuration to be. */

type Timed = Omit<TwinOptions, "waitMs"> & { wait?: number };

function named({ wait: waitMs, ...rest }: Timed): TwinOptions {
  return { ...rest, ...(waitMs === undefined ? {} : { waitMs }) };
}

/** How the broker is reached. */
function linked(command: Command): Command {
  command
    .option("--gateway <id>", "the gateway's id")
    .option("--broker <url>", "mqtts://host:8883, or mqtt:// without TLS")
    .option("--city <city>", "first part of the topics");
  return addLoginOptions(command);
}

export function addTwinVerbs({ verb, run, options: { site, timeSpan, number } }: Line): void {
  const group = verb("twin").helpCommand(false).enablePositionalOptions();
  linked(
    group
      .command("set")
      .description("sign what is wanted, publish it, follow it to its end")
      .argument("<file>", "what is wanted, as YAML or JSON; - reads it from the input"),
  )
    .option("--key <file>", "PEM: the issuer's private key (kerb command keygen FILE)")
    .option("--issuer <id>", "who wants it: one of twin.issuers of the site file, or somebody@issuer")
    .option("--ver <number>", "its version (the time in ms)", number(1, Number.MAX_SAFE_INTEGER))
    .option("--wait <time>", "how long its end is waited for (2m)", timeSpan)
    .action((file: string, options: Timed) =>
      run("twin-set", options, async () => (await import("./twin.ts")).twinSet(file, named(options))),
    );
  linked(
    group
      .command("show")
      .description("what is wanted, what runs, what it changes; with --broker what stands there")
      .addOption(site()),
  )
    .option("--wait <time>", "how long the broker is listened to (1.5s)", timeSpan)
    .action((options: Timed) =>
      run("twin-show", options, async () => (await import("./twin.ts")).twinShow(named(options))),
    );
}
