import { writeSync } from "node:fs";
import { type How, open } from "./migration.trial.ts";

/** `migrating-opener.ts FILE product|steps`: says "go", then opens a file of the first version: the victim of R23. */

const [path = "", how = "product"] = process.argv.slice(2);
writeSync(1, "go\n");
open(path, how as How);
