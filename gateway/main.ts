import { helpText, kerbVersion } from "./cli/verbs.ts";

/**
 * The `kerb` command line. Help and version come at once; any other word loads the verbs, and each verb loads what
 * it needs when it is called: `kerb --help` must not pay for a driver, a database or a schema.
 */

// A reader that has gone (`kerb tail | head -1`) is no failure.
process.stdout.on("error", () => process.exit(0));

const [first] = process.argv.slice(2);

if (first === undefined || first === "--help" || first === "-h" || first === "help") {
  process.stdout.write(helpText());
} else if (first === "--version" || first === "-V") {
  process.stdout.write(`${kerbVersion()}\n`);
} else {
  const { runVerb } = await import("./cli/program.ts");
  const code = await runVerb(process.argv.slice(2));
  // A pipe takes 64 KiB at a time: what it has not taken yet would be lost.
  process.stdout.write("", () => process.exit(code));
}
