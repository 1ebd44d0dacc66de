import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

type Values<T extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: T }>>["values"];

/** One sentence and the usage on stderr, and exit status 2. */
export function misused(sentence: string, usage: string): never {
  process.stderr.write(`${sentence}\n${usage}\n`);
  process.exit(2);
}

/** The options of a script that `npm run` starts; `--help` prints `purpose` and `usage`, and a wrong option ends it. */
export function optionsOf<const T extends ParseArgsOptionsConfig>(
  purpose: string,
  usage: string,
  options: T,
): Values<T> {
  const words = process.argv.slice(2);
  if (words.includes("--help") || words.includes("-h")) {
    process.stdout.write(`${purpose}\n${usage}\n`);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return misused((error as Error).message, usage);
  }
}
