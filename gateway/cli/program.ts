import { Command, CommanderError, Option } from "commander";
import type { Language } from "../config/error-texts.ts";
import type { Fault } from "../../simulators/simulator.ts";
import { eventKinds } from "../event.ts";
import { languageOf } from "../words.ts";
import { addBoxVerbs } from "./box/box-verbs.ts";
import type { CertificateOptions } from "./ioc/certificate.ts";
import { addCommandVerbs, type Line } from "./ioc/command-verbs.ts";
import { addConfigVerbs, ofFile } from "./config/config-verbs.ts";
import { addDeviceVerbs } from "./device/device-verbs.ts";
import { addDiscoverVerbs } from "./discover/discover-verbs.ts";
import { helpInVietnamese } from "./help/help.ts";
import { reportFailure } from "./output.ts";
import type { ReceiveOptions } from "./ioc/receive.ts";
import { addReportVerbs } from "./report/report-verbs.ts";
import type { TailOptions } from "./read/tail.ts";
import { number, timeSpan, usageOf } from "./help/usage.ts";
import { type Verb, verbs } from "./verbs.ts";
import { addTwinVerbs } from "./ioc/twin-verbs.ts";
import { addWhyVerbs } from "./why/why-verbs.ts";

/** The verbs with their options. Commander parses; each verb's file is loaded when it is called. */

interface Common {
  json?: boolean;
  site?: string;
  lang?: Language;
}

const faults: Record<Fault, true> = {
  silent: true,
  refuse: true,
  hangUp: true,
  garbage: true,
  slow: true,
  late: true,
  restart: true,
  clockWrong: true,
};

const jsonOption = () => new Option("--json", "one JSON object a line");
const siteOption = () =>
  new Option("--site <file>", "site file (default: KERB_SITE, /etc/kerb/gateway.yaml, or gateway.yaml here)");
const languageOption = () =>
  new Option("--lang <language>", "language (default: from LANG)").choices(["en", "vi"]);

/** What every verb has, also one of a group: `--json` and `--lang`. */
function addCommonOptions(command: Command): void {
  for (const option of [jsonOption(), languageOption()])
    if (command.options.every(({ long }) => long !== option.long)) command.addOption(option);
  for (const inner of command.commands) addCommonOptions(inner);
}

/** Holds the exit code of the verb that ran. */
interface Outcome {
  code: number;
}

/** The verbs as commander knows them. */
export class Verbs {
  readonly program: Command;
  readonly #outcome: Outcome;
  readonly #language = languageOf();

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
    this.program = new Command("kerb")
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .helpCommand(false)
      // Else a group would take the options that stand behind its verbs.
      .enablePositionalOptions()
      .showSuggestionAfterError()
      .addOption(languageOption());
    this.#gateway();
    this.#field();
    const line: Line = {
      verb: (name) => this.#verb(name),
      run: (kind, options, work) => this.#run(kind, options, work),
      options: { json: jsonOption, site: siteOption, language: languageOption, timeSpan, number },
    };
    addCommandVerbs(line);
    addReportVerbs(line);
    addBoxVerbs(line);
    addDeviceVerbs(line);
    addConfigVerbs(line);
    addTwinVerbs(line);
    addDiscoverVerbs(line);
    addWhyVerbs(line);
    this.#pictures();
    this.#centre();
    this.#certificates();
    this.#developer();
    this.#about();
    for (const command of this.program.commands) addCommonOptions(command);
  }

  #verb(name: Verb["name"]): Command {
    const { summary } = verbs.find((verb) => verb.name === name) ?? {};
    return this.program.command(name).description(summary?.[this.#language] ?? "");
  }

  /** Runs a verb's work; a failure becomes its sentence and its exit code. */
  async #run(kind: string, options: { json?: boolean }, work: () => Promise<number>): Promise<void> {
    try {
      this.#outcome.code = await work();
    } catch (error) {
      this.#outcome.code = reportFailure(kind, error, options.json === true);
    }
  }

  #gateway(): void {
    this.#verb("demo")
      .option("--site <file>", "another site than the worked one; its devices are simulated on this machine")
      .action((options: Common) =>
        this.#run("demo", options, async () => (await import("./simulate/demo.ts")).demo(options)),
      );
    this.#verb("run")
      .argument("[file]", ofFile)
      .option("--strict-config", "end with 78 on a wrong file, instead of running the last good generation")
      .addOption(siteOption())
      .action((file: string | undefined, options: Common & { strictConfig?: boolean }) =>
        this.#run("run", options, async () => (await import("./run.ts")).run(file ?? options.site, options)),
      );
  }

  #field(): void {
    this.#verb("read")
      .argument("<device>", "its id in the site file")
      .argument("[points...]", "points; all of them if none is named")
      .addOption(siteOption())
      .option("--watch", "read every second until Ctrl-C")
      .option("--raw", "show the bytes, and every way to read them as a number")
      .option(
        "--wait <time>",
        "how long a device that tells its values by itself is listened to (10s)",
        timeSpan,
      )
      .action((device: string, points: string[], { wait, ...flags }: Common & ReadFlags) => {
        const options = { ...flags, ...(wait === undefined ? {} : { waitMs: wait }) };
        return this.#run("read", options, async () =>
          (await import("./read/read.ts")).read(device, points, options),
        );
      });
    this.#verb("identify")
      .argument("<device>", "its id in the site file")
      .addOption(siteOption())
      .option("--accept", "whoever answers is the right unit from here on: it may be written to")
      .action((device: string, options: Common & { accept?: boolean }) =>
        this.#run("identify", options, async () =>
          (await import("./discover/identify.ts")).identify(device, options),
        ),
      );
    this.#verb("browse")
      .argument("<device>", "its id in the site file")
      .addOption(siteOption())
      .option("--under <node>", "begin there: an address as a profile has it, such as i=2253")
      .option("--limit <count>", "entries at most (1000)", number(1, 100_000))
      .option("--depth <levels>", "levels at most (16)", number(1, 100))
      .option("--wait <time>", "how long the device is asked (60s)", timeSpan)
      .action((device: string, { wait, ...flags }: Common & BrowseFlags) => {
        const options = { ...flags, ...(wait === undefined ? {} : { waitMs: wait }) };
        return this.#run("browse", options, async () =>
          (await import("./discover/browse.ts")).browse(device, options),
        );
      });
    this.#verb("status")
      .addOption(siteOption())
      .option("--retry-refused", "first send again what brokers refused for good, under new numbers")
      .action((options: Common & { retryRefused?: boolean }) =>
        this.#run("status", options, async () => (await import("./status.ts")).status(options)),
      );
    this.#verb("health")
      .addOption(siteOption())
      .action((options: Common) =>
        this.#run("health", options, async () => (await import("./health.ts")).health(options)),
      );
    this.#verb("books")
      .addOption(siteOption())
      .action((options: Common) =>
        this.#run("books", options, async () => (await import("./box/books.ts")).books(options)),
      );
    this.#verb("tail")
      .addOption(siteOption())
      .option("--device <id>", "only this device's events")
      .addOption(new Option("--kind <kind>", "only events of this kind").choices(eventKinds))
      .option("--point <name>", 'only these points, such as voltage.L1 or "voltage.*"')
      .action((options: TailOptions) =>
        this.#run("tail", options, async () => (await import("./read/tail.ts")).tail(options)),
      );
  }

  #pictures(): void {
    this.#verb("snapshot")
      .argument("<ref>", "snapshot.ref of an event")
      .requiredOption("-o, --output <file>", "where the picture goes")
      .addOption(siteOption())
      .action((ref: string, options: Common & { output: string }) =>
        this.#run("snapshot", options, async () =>
          (await import("./box/snapshot.ts")).snapshot(ref, options),
        ),
      );
  }

  #centre(): void {
    this.#verb("receive")
      .requiredOption("--broker <url>", "mqtts://host:8883, or mqtt:// without TLS")
      .requiredOption("--city <city>", "first part of the topics")
      .option("--name <name>", "name of this receiver, unique at the broker", "ioc")
      .option("--database <file>", "SQLite file", "./receiver.db")
      .option("--listen <host:port>", "where the HTTP API listens", "127.0.0.1:8788")
      .option(
        "--host <name...>",
        "names by which the HTTP API is asked, such as behind a proxy; others are refused",
      )
      .option("--ack-interval <time>", "how often custody is acknowledged", timeSpan, 60_000)
      .addOption(new Option("--protocol <version>", "MQTT version").choices(["5", "3.1.1"]).default("5"))
      .option("--ca <file>", "PEM: authority of the broker's certificate")
      .option("--cert <file>", "PEM: this receiver's certificate")
      .option("--key <file>", "PEM: its key")
      .option("--username <name>", "login at the broker")
      .option("--sign-key <file>", "PEM: Ed25519 private key that signs the certificates")
      .addOption(new Option("--password <password>", "better in the environment").env("KERB_PASSWORD"))
      .action(({ ackInterval, ...options }: Common & ReceiveFlags) =>
        this.#run("receive", options, async () =>
          (await import("./ioc/receive.ts")).receive({ ...options, ackIntervalMs: ackInterval }),
        ),
      );
  }

  #certificates(): void {
    this.#verb("certificate")
      .argument("[gateway]", "its id; all gateways that the receiver knows if none is named")
      .option("--url <url>", "HTTP API of the receiver", "http://127.0.0.1:8788")
      .option("--from <time>", "ISO 8601, or ms since 1970 (default: a day ago)")
      .option("--to <time>", "the same (default: what is over)")
      .option("--recheck", "hold the stored events against their seals once more")
      .option("--verify <files...>", "check the signatures of certificates in these files instead")
      .option("--key <file>", "PEM: the receiver's public key for --verify (default: asked at --url)")
      .action((gateway: string | undefined, options: Common & CertificateFlags) =>
        this.#run("certificates", options, async () =>
          (await import("./ioc/certificate.ts")).certificate(gateway, options),
        ),
      );
  }

  #developer(): void {
    this.#verb("simulate")
      .argument("[profile]", 'vendor/model, or "broker" for an MQTT broker')
      .option("--site <file>", "one pretend device for each of the site's devices, at its address")
      .option("--device <ids...>", "with --site: only these of its devices")
      .option(
        "--port <number>",
        "TCP port (default: 1502; a broker: 18830; 0: any free one)",
        number(0, 65_535),
      )
      .option("--unit <number>", "unit on the line", number(0, 255))
      .option("--serial <path>", "a serial port instead of TCP")
      .option("--firmware <version>", "the firmware that it reports")
      .option("--seed <number>", "same seed, same walk of values", number(0, 0xffff_ffff))
      .addOption(new Option("--fault <name>", "what is wrong with it").choices(Object.keys(faults)))
      .option("--cassette <file>", "answer as a recorded device did, instead of a profile")
      .option("--list", "list the profiles")
      .action((profile: string | undefined, options: Common) =>
        this.#run("simulate", options, async () =>
          (await import("./simulate/simulate.ts")).simulate(profile, options),
        ),
      );
    this.#verb("record")
      .argument("<device>", "its id in the site file")
      .addOption(siteOption())
      .option("--for <time>", "how long at most (60s)", timeSpan)
      .option("--out <file>", "where the cassette goes (default: DEVICE.cassette.yaml)")
      .option("--hide <texts...>", "further texts that must not be in it")
      .option("--hide-serial", "nor the device's serial number")
      .action((device: string, { for: forMs, ...flags }: Common & RecordFlags) => {
        const options = { ...flags, ...(forMs === undefined ? {} : { forMs }) };
        return this.#run("record", options, async () =>
          (await import("./profile/record.ts")).record(device, options),
        );
      });
    this.#profile();
    this.#verb("profiles")
      .argument("[id]", "vendor/model: show its points; or a word of a name plate: which are meant")
      .action((id: string | undefined, options: Common) =>
        this.#run("profiles", options, async () =>
          (await import("./profile/profiles.ts")).profiles(id, options),
        ),
      );
    this.#verb("drivers").action((options: Common) =>
      this.#run("drivers", options, async () => (await import("./drivers.ts")).drivers(options)),
    );
  }

  /** Verbs about kerb itself. */
  #about(): void {
    this.#verb("explain")
      .argument("[code]", "KERB-DEV-SILENT, dev-silent, or a group: KERB-DEV")
      .action((code: string | undefined, options: Common) =>
        this.#run("explain", options, async () => (await import("./help/explain.ts")).explain(code, options)),
      );
    this.#verb("completion")
      .argument("<shell>", "bash, zsh or fish")
      .action((shell: string, options: Common) =>
        this.#run("completion", options, async () =>
          (await import("./help/completion.ts")).completion(shell, options),
        ),
      );
    this.#verb("schema")
      .argument("[verb...]", "such as status, or profile new")
      .action((verb: string[], options: Common) =>
        this.#run("schema", options, async () => (await import("./help/schema.ts")).schema(verb, options)),
      );
    this.#verb("version").action((options: Common) =>
      this.#run("version", options, async () => (await import("./version.ts")).version(options)),
    );
  }

  /** `kerb profile`: what a person does with a profile of his own. Its verbs take the options behind their names. */
  #profile(): void {
    const group = this.#verb("profile").helpCommand(false).enablePositionalOptions();
    group
      .command("lint")
      .description("gaps, overlaps, missing evidence, values that cannot be")
      .argument("[profiles...]", "files, or vendor/model; all that ship with kerb if none is named")
      .action((given: string[], options: Common) =>
        this.#run("profile-lint", options, async () =>
          (await import("./profile/profile-lint.ts")).lintProfile(given, options),
        ),
      );
    group
      .command("new")
      .description("draft one from a device that kerb does not know: each guess is marked as one")
      .argument("[profile]", "vendor/model (default: what the device calls itself)")
      .requiredOption("--from <device>", "its id in the site file")
      .addOption(siteOption())
      .option("--out <file>", "where the draft goes (default: firmware-profiles/VENDOR/MODEL.yaml)")
      .option("--class <class>", "what it is, such as energy-meter: MODELS.md lists them (other)")
      .option("--under <place>", "only there, such as holding 0-199, i=85, 1.3.6.1.4.1 or /api/status")
      .option("--limit <count>", "points at most (500)", number(1, 10_000))
      .option("--wait <time>", "how long the device is asked (2m)", timeSpan)
      .option("--force", "write over a file that is there")
      .action((id: string | undefined, { wait, ...flags }: Common & NewFlags) => {
        const options = { ...flags, ...(wait === undefined ? {} : { waitMs: wait }) };
        return this.#run("profile-new", options, async () =>
          (await import("./profile/profile-new.ts")).profileNew(id, options),
        );
      });
    group
      .command("test")
      .description("play cassettes, or all of the library, and compare the readings")
      .argument("[cassettes...]", "files that kerb record made")
      .option("--profiles <folder>", "another folder of profiles than kerb's own")
      .action((files: string[], options: Common & { profiles?: string }) =>
        this.#run("profile-test", options, async () =>
          (await import("./profile/profile-test.ts")).profileTest(files, options),
        ),
      );
  }
}

interface RecordFlags {
  for?: number;
  out?: string;
  hide?: string[];
  hideSerial?: boolean;
}

interface ReadFlags {
  watch?: boolean;
  raw?: boolean;
  wait?: number;
}

interface BrowseFlags {
  under?: string;
  limit?: number;
  depth?: number;
  wait?: number;
}

interface NewFlags {
  from: string;
  out?: string;
  class?: string;
  under?: string;
  limit?: number;
  wait?: number;
  force?: boolean;
}

type CertificateFlags = Omit<CertificateOptions, keyof Common>;
type ReceiveFlags = Omit<ReceiveOptions, keyof Common | "ackIntervalMs"> & { ackInterval: number };

/** Runs the verb that the arguments name; gives the exit code. */
export async function runVerb(args: string[]): Promise<number> {
  const outcome: Outcome = { code: 0 };
  const { program } = new Verbs(outcome);
  if (languageOf() === "vi") await helpInVietnamese(program, args);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    return reportFailure(args[0] ?? "kerb", usageOf(error, args, program), args.includes("--json"));
  }
  return outcome.code;
}
