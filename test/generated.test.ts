import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generated } from "./generated.ts";

const files = await generated();

test.each(Object.keys(files))("%s is what the code generates", (file) => {
  const isSame = readFileSync(new URL(`../${file}`, import.meta.url), "utf8") === files[file];
  expect(isSame, `${file} is not up to date: npm run generate`).toBe(true);
});
