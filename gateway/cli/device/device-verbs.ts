import { type Command, Option } from "commander";
import type { Line } from "../ioc/command-verbs.ts";
import type { AddOptions } from "./device-add.ts";
import type { RenameOptions } from "./device-change.ts";
import type { ListOptions } from "./device-list.ts";
import type { SaveOptions } from "./device-save.ts";
import type { SetOptions } from "./device-set.ts";
import type { ShowOptions } from "./device-show.ts";
import { stateFilters } from "./device-states.ts";

/** `kerb device`: its verbs, with their options. */

const collect = (one: string, before: string[] = []): string[] => [...before, one];

export function addDeviceVerbs({ verb, run, options: { site, number } }: Line): void {
  const group = verb("device").helpCommand(false).enablePositionalOptions();
  const own = (name: string, description: string): Command =>
    group.command(name).description(description).addOption(site());
  own("add", "test a device step by step, show the lines, and save it")
    .argument(
      "[place]",
      "a number of the last kerb discover, or an address: 10.0.0.4, 10.0.0.4:502, /dev/ttyS1",
    )
    .option("--id <new>", "what it is called in topics and events, for good")
    .option("--name <name>", "as people call it")
    .option("--driver <driver>", "what it speaks")
    .option("--profile <profile>", "vendor/model (default: the one that fits what it says of itself)")
    .option("--host <host>", "its address, or that of its device server or broker")
    .option("--port <number>", "if not the usual one", number(1, 65_535))
    .option("--serial <path>", "the serial port that it hangs on")
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
  own("list", "every device: state, address, profile, last good reading, what is wrong")
    .addOption(new Option("--state <state>", "only those").choices([...stateFilters]))
    .option("--driver <driver>", "only those that speak it")
    .action((options: ListOptions) =>
      run("device-list", options, async () => (await import("./device-list.ts")).deviceList(options)),
    );
  own("show", "all of one device: its lines, who it is, the pinned unit, points, what may be written")
    .argument("<device>", "its id")
    .action((id: string, options: ShowOptions) =>
      run("device", options, async () => (await import("./device-show.ts")).deviceShow(id, options)),
    );
  own("replace", "another unit in its place: whoever answers is the right one from here on")
    .argument("<device>", "its id")
    .option("--yes", "do not ask")
    .action((id: string, options: SaveOptions) =>
      run("device-replace", options, async () =>
        (await import("./device-replace.ts")).deviceReplace(id, options),
      ),
    );
  own("set", "change settings of a device, or its login: tested, saved, and told to the gateway")
    .argument("<device>", "its id")
    .argument(
      "[settings...]",
      "KEY=VALUE as in its file: unit=7, host=10.0.0.5, transport.port=502, timeout=5s",
    )
    .option("--user <name>", "its login; the password is asked for")
    .option("--password-stdin", "the password is piped in")
    .option("--save-anyway", "save it also when the test fails: it is not wired yet")
    .option("--yes", "do not ask")
    .action((id: string, settings: string[], options: SetOptions) =>
      run("device-set", options, async () =>
        (await import("./device-set.ts")).deviceSet(id, settings, options),
      ),
    );
  own("rename", "another name for people; with --id another device for the IOC")
    .argument("<device>", "its id")
    .argument("[name]", "as people call it")
    .option("--id <new>", "another id: for the IOC it is a new device")
    .option("--yes", "do not ask")
    .action((id: string, name: string | undefined, options: RenameOptions) =>
      run("device-rename", options, async () =>
        (await import("./device-change.ts")).deviceRename(id, name, options),
      ),
    );
  for (const [name, enabled, description] of [
    ["enable", true, "read it again"],
    ["disable", false, "do not read it; its lines stay"],
  ] as const)
    own(name, description)
      .argument("<device>", "its id")
      .option("--yes", "do not ask")
      .action((id: string, options: SaveOptions) =>
        run(`device-${name}`, options, async () =>
          (await import("./device-change.ts")).deviceEnable(id, enabled, options),
        ),
      );
  own("remove", "take its lines out; what it has told is still delivered")
    .argument("<device>", "its id")
    .option("--yes", "do not ask")
    .action((id: string, options: SaveOptions) =>
      run("device-remove", options, async () =>
        (await import("./device-change.ts")).deviceRemove(id, options),
      ),
    );
}
