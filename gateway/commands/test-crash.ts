import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../clock.ts";
import { signed, Site, topicOf } from "./testing.ts";

/**
 * A process that commands one point again and again, each time with the next number, until it is killed: what it has
 * written stands in a file, which is the device. `folder` and the first number are its arguments.
 */

const [folder = "", first = "0"] = process.argv.slice(2);
const device = join(folder, "device");
const site = new Site(join(folder, "commands"), { ratePerMinute: 1_000_000 });
const now = () => ({ wallMs: Date.now(), monoMs: monotonicMs(), clock: "synced" as const, boot: "boot-1" });
const shown = (): number =>
  existsSync(device) ? Number(readFileSync(device, "utf8").trimEnd().split("\n").at(-1)) : 0;

const desk = await site.open({
  now,
  retryFirstMs: 5,
  segmentBytesMax: 40_000,
  field: {
    execute: async ({ value }) => {
      await sleep(Math.random() * 3);
      appendFileSync(device, `${String(value)}\n`);
      await sleep(Math.random() * 3);
      return { state: "done", readBack: value };
    },
    read: async () => ({ value: shown() }),
    latest: async () => new Map(),
  },
});
process.stdout.write("ready\n");
for (let count = Number(first); ; count++) {
  site.now = now();
  await desk.take(signed(site.content({ args: { count } })), topicOf("light-01"));
}
