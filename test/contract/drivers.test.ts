import { expect, test } from "vitest";
import { driverNames, missingFiles } from "./contract.ts";

test.each(driverNames())("%s has all that the contract suite needs", (name) => {
  expect(missingFiles(name)).toEqual([]);
});
