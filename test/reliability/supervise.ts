import { readFileSync } from "node:fs";
import pino from "pino";
import type { Site } from "../../gateway/config/config.ts";
import { Supervisor } from "../../gateway/supervisor.ts";

/**
 * A gateway whose site is given as JSON that no check has seen: its drivers may be folders of a trial, which no
 * configuration may name. One argument: the file.
 */

const site = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Site;
const log = pino({ level: "info" }, pino.destination({ sync: true }));
const supervisor = new Supervisor(site, log, (error) => {
  log.fatal(error.message);
  process.exit(1);
});
process.on("SIGTERM", () => {
  void supervisor.stop().then(() => process.exit(0));
});
await supervisor.start();
