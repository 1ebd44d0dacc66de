import { helpText, kerbVersion } from "./cli/verbs.ts";
import { languageIn, languageOf, speak, withoutLanguage } from "./words.ts";

/**
 * The `kerb` command line. Help and version come at once; any other word loads the verbs, and each verb loads what
 * it needs when it is called: `kerb --help` must not pay for a driver, a database or a schema.
 */

// A reader that has gone (`kerb tail | head -1`) is no failure.
process.stdout.on("error", () => process.exit(0));

/** How long a program of the demo may take to stop when nobody waits for it any more. */
const orphanMs = 20_000;

const said = process.argv.slice(2);
const isHelp = withoutLanguage(said)[0] === "help";
// "kerb help why" means what "kerb why --help" does.
const args = isHelp ? [...said.toSpliced(said.indexOf("help"), 1), "--help"] : said;
const [first] = withoutLanguage(args);

// Every user of this machine may read a command line.
if (args.some((arg) => /^--password(?:=|$)/.test(arg))) process.title = "kerb";

speak(languageIn(args));
if (first === undefined || first === "--help" || first === "-h") {
  process.stdout.write(helpText(languageOf()));
} else if (first === "--version" || first === "-V") {
  process.stdout.write(`${kerbVersion()}\n`);
} else if (first === "__complete") {
  const { complete } = await import("./cli/help/complete.ts");
  await complete(args.slice(1));
  process.exit();
} else {
  // Started by another kerb (the demo): this process must not outlive it, however it ends.
  if (process.connected) {
    process.once("disconnect", () => {
      process.kill(process.pid, "SIGTERM");
      setTimeout(() => process.kill(process.pid, "SIGKILL"), orphanMs).unref();
    });
    process.channel?.unref();
  }
  const { runVerb } = await import("./cli/program.ts");
  const code = await runVerb(args);
  // A pipe takes 64 KiB at a time: what it has not taken yet would be lost.
  process.stdout.write("", () => process.exit(code));
}
