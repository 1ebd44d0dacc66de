import type { Command } from "commander";
import type { Line } from "./command-verbs.ts";
import type { AddOptions } from "./device-add.ts";

/** `kerb device`: its verbs, with their options. */

const collect = (one: string, before: string[] = []): string[] => [...before, one];

export function addDeviceVerbs({ verb, run, options: { json, site, language, number } }: Line): void {
  const group = verb("device").helpCommand(false).enablePositionalOptions();
  const own = (name: string, description: string): Command =>
    group.command(name).description(description).addOption(site()).addOption(json()).addOption(language());
  own("add", "test a device step by step, show the lines, and save it")
    .argument(
      "[device]",
      "a number of the last kerb discover, or an address: 10.0.0.4, 10.0.0.4:502, /dev/ttyS1",
    )
    .option("--id <id>", "what it is called in topics and events, for good")
    .option("--name <name>", "as people call it")
    .option("--driver <driver>", "what it speaks")
    .option("--profile <profile>", "vendor/model (default: the one that fits what it says of itself)")
    .option("--host <host>", "its address, or that of its device server or broker")
    .option("--port <number>", "if not the usual one", number(1, 65_535))
    .option("--serial <port>", "the serial port that it hangs on")
    .option("--unit <number>", "its unit or station on the line", number(0, 255))
    .option("--user <name>", "its login; the password is asked for")
    .option("--password-stdin", "the password is piped in")
    .option("--set <key=value>", "another setting, such as timeout=2s or transport.baud=19200", collect)
    .option("--file <file>", "into this file (default: a file of its own in devices.d)")
    .option("--save-anyway", "save it also when the test fails: it is not wired yet")
    .option("--yes", "do not ask")
    .action((text: string | undefined, options: AddOptions) =>
      run("device-add", options, async () => (await import("./device-add.ts")).deviceAdd(text, options)),
    );
}
