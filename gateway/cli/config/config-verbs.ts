import type { ChangeOptions } from "./config-change.ts";
import type { Line } from "../ioc/command-verbs.ts";
import type { InitOptions } from "../box/init.ts";

/** `kerb config`: its verbs with their options, which stand behind their names. */

type Timed<Options> = Omit<Options, "confirmMs" | "watchMs"> & { confirm?: number; watch?: number };

function named({ confirm: confirmMs, watch: watchMs, ...rest }: Timed<ChangeOptions>): ChangeOptions {
  return {
    ...rest,
    ...(confirmMs === undefined ? {} : { confirmMs }),
    ...(watchMs === undefined ? {} : { watchMs }),
  };
}

/** The argument of a verb that may be told its file without `--site`. */
export const ofFile = "site file (default: as for --site of the other verbs)";

export function addConfigVerbs({ verb, run, options: { site, timeSpan, number } }: Line): void {
  verb("init")
    .argument("[file]", "where it goes (default: gateway.yaml here)")
    .option("--id <new>", "what the box is called in topics and events, for good")
    .option("--name <name>", "the cabinet as people call it")
    .option("--city <city>", "first part of the topics")
    .option("--broker <url>", "mqtts://host:8883; without it events wait in the outbox")
    .option("--user <name>", "login at the broker; the password is asked for")
    .option("--password-stdin", "the password is piped in")
    .option("--ca <file>", "PEM: authority of the broker's certificate")
    .option("--cert <file>", "PEM: the certificate of this box")
    .option("--key <file>", "PEM: its key")
    .option("--insecure", "an mqtt:// broker on another machine: everything goes in the clear")
    .action((file: string | undefined, options: InitOptions) =>
      run("init", options, async () => (await import("../box/init.ts")).init(file, options)),
    );
  const group = verb("config").helpCommand(false).enablePositionalOptions();
  const add = (name: string, summary: string) => group.command(name).description(summary);
  add("check", "check a site file and everything that it names")
    .argument("[file]", ofFile)
    .addOption(site())
    .action((file: string | undefined, options: ChangeOptions) =>
      run("config-check", options, async () =>
        (await import("./check.ts")).check(file ?? options.site, options),
      ),
    );
  add("diff", "what the files would change in the running gateway: exit code 6 if anything, 0 if nothing")
    .argument("[file]", ofFile)
    .addOption(site())
    .action((file: string | undefined, options: ChangeOptions) =>
      run("config-diff", options, async () =>
        (await import("./config-change.ts")).diff(file ?? options.site, options),
      ),
    );
  const changing = (name: string, summary: string) =>
    add(name, summary)
      .addOption(site())
      .option("--confirm <time>", "goes back by itself unless: kerb config confirm, such as 2m", timeSpan)
      .option("--watch <time>", "how long what it does is watched (30s)", timeSpan);
  changing("apply", "take over the changed files: only what has changed restarts").action(
    (options: Timed<ChangeOptions>) =>
      run("config-apply", options, async () => (await import("./config-change.ts")).apply(named(options))),
  );
  changing("rollback", "run an earlier generation; the files stay as they are")
    .argument("<generation>", "its number: kerb config history", number(1, 999_999_999))
    .action((generation: number, options: Timed<ChangeOptions>) =>
      run("config-rollback", options, async () =>
        (await import("./config-change.ts")).rollback(generation, named(options)),
      ),
    );
  add("confirm", "keep what was applied with --confirm")
    .addOption(site())
    .action((options: ChangeOptions) =>
      run("config-confirm", options, async () => (await import("./config-change.ts")).confirm(options)),
    );
  add("history", "what has run, since when, by whom")
    .addOption(site())
    .action((options: ChangeOptions) =>
      run("config-history", options, async () => (await import("./config-history.ts")).history(options)),
    );
  add("migrate", "bring a site file to the version of this kerb")
    .argument("[file]", ofFile)
    .action((file: string | undefined, options: ChangeOptions) =>
      run("config-migrate", options, async () => (await import("./config-files.ts")).migrate(file, options)),
    );
  add("schema", "the JSON Schema of a site file, for editors")
    .option("--devices", "of a file that `include` names")
    .action((options: ChangeOptions & { devices?: boolean }) =>
      run("config-schema", options, async () => (await import("./config-files.ts")).schema(options)),
    );
}
