import { argv } from "node:process";

/**
 * `kerb receive` of the checkout at argv[2], with the options in argv[3], as a process of its own with the flags
 * of gateway/kerb.
 */
const [, , root, options] = argv;
const { receive } = (await import(`${root}/gateway/cli/receive.ts`)) as {
  receive: (options: unknown) => Promise<number>;
};
process.exit(await receive(JSON.parse(options ?? "{}")));
