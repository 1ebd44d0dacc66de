import { Option } from "commander";
import type { AdoptOptions } from "./adopt.ts";
import type { BackupOptions } from "./backup.ts";
import type { BoxOptions } from "./box.ts";
import type { Line } from "../ioc/command-verbs.ts";
import type { GapsOptions } from "./gaps.ts";
import type { RestoreOptions } from "./restore.ts";
import type { SupportOptions } from "../report/support-bundle.ts";
import type { TopOptions } from "../top.ts";
import type { UpstreamOptions } from "../why/upstream.ts";

/** The verbs about the box itself, with their options. */

const stateOption = () =>
  new Option("--state <folder>", "the gateway's state folder, instead of a site file: a dead box's disk");

export function addBoxVerbs({ verb, run, options: { site, timeSpan } }: Line): void {
  verb("top")
    .option("--once", "one look over a second, then the end")
    .addOption(site())
    .action((options: TopOptions) =>
      run("top", options, async () => (await import("../top.ts")).top(options)),
    );
  verb("gaps")
    .option("--since <time>", "how far back (24h)", timeSpan)
    .option("--device <id>", "only this device's, and those of the whole box")
    .addOption(site())
    .addOption(stateOption())
    .action(({ since: sinceMs, ...options }: Omit<GapsOptions, "sinceMs"> & { since?: number }) =>
      run("gaps", options, async () =>
        (await import("./gaps.ts")).gaps({ ...options, ...(sinceMs === undefined ? {} : { sinceMs }) }),
      ),
    );
  const buffer = verb("buffer")
    .helpCommand(false)
    .enablePositionalOptions()
    .addOption(site())
    .addOption(stateOption())
    .action((options: BoxOptions) =>
      run("buffer", options, async () => (await import("./buffer.ts")).buffer(options)),
    );
  buffer
    .command("export")
    .description("the kept events of a box that does not run, one JSON object a line; changes nothing there")
    .argument("<file>", "where they go, such as events.ndjson")
    .addOption(site())
    .addOption(stateOption())
    .action((file: string, options: BoxOptions) =>
      run("buffer-export", options, async () => (await import("./buffer.ts")).bufferExport(file, options)),
    );
  buffer
    .command("adopt")
    .description("a box that is renamed on purpose: its state folder becomes that of the site file's gateway")
    .option("--yes", "do not ask")
    .addOption(site())
    .action((options: AdoptOptions) =>
      run("buffer-adopt", options, async () => (await import("./adopt.ts")).bufferAdopt(options)),
    );
  verb("upstream")
    .helpCommand(false)
    .enablePositionalOptions()
    .command("test")
    .description("name, port, TLS, login, receiver, and an event to the IOC and back")
    .option("--uplink <id>", "only this one")
    .option("--wait <time>", "how long the IOC may take to confirm the event (90s)", timeSpan)
    .addOption(site())
    .action(({ wait: waitMs, ...options }: Omit<UpstreamOptions, "waitMs"> & { wait?: number }) =>
      run("upstream-test", options, async () =>
        (await import("../why/upstream.ts")).upstreamTest({
          ...options,
          ...(waitMs === undefined ? {} : { waitMs }),
        }),
      ),
    );
  verb("support-bundle")
    .option("-o, --output <file>", "where it goes (kerb-support-GATEWAY-TIME.tar.gz)")
    .option("--list", "only show what would be in it")
    .addOption(site())
    .action((options: SupportOptions) =>
      run("support-bundle", options, async () =>
        (await import("../report/support-bundle.ts")).supportBundle(options),
      ),
    );
  const passphrase = ["--passphrase-stdin", "the passphrase is the first line of stdin"] as const;
  verb("backup")
    .argument("<file>", "where it goes, such as box.kerb-backup")
    .option("--sealed", "with all secrets and keys, under a passphrase")
    .option("--with-buffer", "with the events that the IOC does not have yet; the gateway must not run")
    .option(...passphrase)
    .addOption(site())
    .action((file: string, options: BackupOptions) =>
      run("backup", options, async () => (await import("./backup.ts")).backup(file, options)),
    );
  verb("restore")
    .argument("<file>", "what kerb backup has written")
    .option("--site <file>", "the site file to be (KERB_SITE, /etc/kerb/gateway.yaml)")
    .option("--force", "put a site file aside that is there")
    .option("--yes", "do not ask")
    .option(...passphrase)
    .action((file: string, options: RestoreOptions) =>
      run("restore", options, async () => (await import("./restore.ts")).restore(file, options)),
    );
}
