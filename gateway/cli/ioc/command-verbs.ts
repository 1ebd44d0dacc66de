import { type Command, Option } from "commander";
import type { AuditOptions } from "./audit.ts";
import type { CommandOptions } from "./command.ts";
import type { WriteOptions } from "./write.ts";

/** The verbs about commands, with their options: `write`, `command`, `audit`. */

/** What the command line has for all its verbs. */
export interface Line {
  verb: (name: string) => Command;
  run: (kind: string, options: { json?: boolean }, work: () => Promise<number>) => Promise<void>;
  /** `json` and `language` need not be added: every verb has them in the end. */
  options: {
    json: () => Option;
    site: () => Option;
    language: () => Option;
    timeSpan: (text: string) => number;
    number: (least: number, most: number) => (text: string) => number;
  };
}

type Leased<Options> = Omit<Options, "leaseMs" | "validMs"> & { for?: number; valid?: number };

/** `--for` and `--valid` as the verbs know them. */
function named({ for: leaseMs, valid: validMs, ...rest }: Leased<CommandOptions>) {
  return {
    ...rest,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(validMs === undefined ? {} : { validMs }),
  };
}

/** How a verb that plays the IOC speaks with the broker, and logs in. */
export function addLoginOptions(command: Command): Command {
  return command
    .addOption(new Option("--protocol <version>", "MQTT version").choices(["5", "3.1.1"]).default("5"))
    .option("--ca <file>", "PEM: authority of the broker's certificate")
    .option("--cert <file>", "PEM: the certificate of this client")
    .option("--tls-key <file>", "PEM: its key")
    .option("--username <name>", "login at the broker")
    .addOption(new Option("--password <password>", "better in the environment").env("KERB_PASSWORD"));
}

export function addCommandVerbs({ verb, run, options: { site, timeSpan, number } }: Line): void {
  verb("write")
    .argument("<device>", "its id in the site file")
    .argument("<points...>", "POINT=VALUE, such as lamp_group_1=off")
    .addOption(site())
    .option("--for <time>", "it goes back by itself after this, such as 30s", timeSpan)
    .option("--reason <text>", "why; it goes on the record")
    .option("--yes", "do not ask")
    .option("--arm", "only arm it, and show the token")
    .option("--commit <token>", "carry out what was armed, also by somebody else")
    .action((device: string, points: string[], options: Leased<WriteOptions>) =>
      run("write", options, async () => (await import("./write.ts")).write(device, points, named(options))),
    );
  const commands = verb("command").enablePositionalOptions();
  const ordered = commands
    .argument("<gateway>", "its id")
    .argument("<device>", "the device's id at this gateway")
    .argument("<points...>", "POINT=VALUE; a text that looks like a number in quotes: plan='\"3\"'")
    .option("--broker <url>", "mqtts://host:8883, or mqtt:// without TLS")
    .option("--city <city>", "first part of the topics")
    .option("--key <file>", "PEM: the issuer's private key (kerb command keygen FILE)")
    .option("--issuer <id>", "who orders: an issuer of the site file, or somebody@issuer")
    .option("--role <role>", "as what")
    .option("--for <time>", "it goes back by itself after this, such as 30s", timeSpan)
    .option("--reason <text>", "why; it goes on the record")
    .option("--valid <time>", "how long it may be executed (30s, at most 60s)", timeSpan)
    .option("--two-steps", "arm, then commit")
    .option("--arm", "only arm it, and show the token")
    .option("--commit <token>", "carry out what was armed")
    .option("--abort <token>", "give up what was armed");
  addLoginOptions(ordered).action(
    (gateway: string, device: string, points: string[], options: Leased<CommandOptions>) =>
      run("command", options, async () =>
        (await import("./command.ts")).command(gateway, device, points, named(options)),
      ),
  );
  commands
    .command("keygen")
    .description("a new key to sign commands with; prints what the site file needs")
    .argument("<file>", "where the private key goes")
    .action((file: string, options: { json?: boolean }) =>
      run("command-key", options, async () => (await import("./command.ts")).keygen(file, options)),
    );
  const audit = verb("audit").helpCommand(false).enablePositionalOptions();
  const folder = "the gateway's state folder, instead of a site file";
  audit
    .command("verify")
    .description("whether each record is what was written, and none is missing")
    .addOption(site())
    .option("--state <folder>", folder)
    .action((options: AuditOptions) =>
      run("audit-verify", options, async () => (await import("./audit.ts")).auditVerify(options)),
    );
  audit
    .command("show")
    .description("the newest records")
    .option("--last <count>", "how many (50)", number(1, 1_000_000))
    .addOption(site())
    .option("--state <folder>", folder)
    .action((options: AuditOptions) =>
      run("audit-show", options, async () => (await import("./audit.ts")).auditShow(options)),
    );
}
