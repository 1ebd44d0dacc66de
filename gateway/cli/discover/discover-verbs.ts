import { InvalidArgumentError, Option } from "commander";
import { languageOf } from "../../words.ts";
import type { Line } from "../ioc/command-verbs.ts";
import type { DiscoverOptions } from "./discover.ts";
import { discoverWords } from "./discover-words.ts";

/** `kerb discover`, with its options. */

/** "1-32" or "1,5,10-12", each from `least` to `most`. */
function numbers(least: number, most: number, countMax: number): (text: string) => number[] {
  return (text) => {
    const all = text.split(",").flatMap((part) => {
      const [, from, to = from] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part) ?? [];
      const [first, last] = [Number(from), Number(to)];
      if (from === undefined || first < least || last > most || first > last)
        throw new InvalidArgumentError(discoverWords[languageOf()].numbers(least, most));
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    if (all.length > countMax)
      throw new InvalidArgumentError(discoverWords[languageOf()].numbersMax(countMax));
    return [...new Set(all)];
  };
}

type Flags = Omit<DiscoverOptions, "forMs" | "bauds" | "ports" | "callPort"> & {
  for?: number;
  baud?: number[];
  port?: number[];
  listen?: number;
};

export function addDiscoverVerbs({ verb, run, options: { site, timeSpan, number } }: Line): void {
  verb("discover")
    .argument(
      "[cidr...]",
      "networks such as 192.168.10.0/24, or addresses; none: this box's own, after a question",
    )
    .option("--serial <port>", "a serial line: first it is listened to, then units are asked one by one")
    .option(
      "--units <numbers>",
      "units to ask, such as 1-32 (a line: 1-32, TCP: 1 and 255)",
      numbers(0, 255, 256),
    )
    .option("--baud <rates>", "only these, such as 9600 or 4800,19200", numbers(300, 921_600, 20))
    .addOption(new Option("--parity <parity>", "only this parity").choices(["none", "even", "odd"]))
    .option("--broker <url>", "a broker whose topics are listened to: mqtt://host:1883, mqtts://…")
    .option("--username <name>", "login at the broker")
    .addOption(new Option("--password <password>", "better in the environment").env("KERB_PASSWORD"))
    .option("--driver <name>", "only what this driver speaks: kerb drivers lists them")
    .option("--port <numbers>", "ports beside the usual ones, such as 15020-15043", numbers(1, 65_535, 64))
    .option("--listen <port>", "where sites call that call by themselves (RSMP: 12111)", number(1, 65_535))
    .option("--for <time>", "how long those are heard who speak by themselves (5s)", timeSpan)
    .option("--why", "for each: why this profile")
    .option("--last", "show what was found the last time")
    .option("--yes", "look through this box's own networks without a question")
    .addOption(site())
    .action(
      (ranges: string[], { for: forMs, baud: bauds, port: ports, listen: callPort, ...flags }: Flags) => {
        const options: DiscoverOptions = {
          ...flags,
          ...(forMs === undefined ? {} : { forMs }),
          ...(bauds === undefined ? {} : { bauds }),
          ...(ports === undefined ? {} : { ports }),
          ...(callPort === undefined ? {} : { callPort }),
        };
        return run("discovery", options, async () =>
          (await import("./discover.ts")).discover(ranges, options),
        );
      },
    );
}
