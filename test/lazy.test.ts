import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { importsOf } from "./imports.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** All that a file loads with itself. */
function loadedWith(path: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  for (const { target, kind } of importsOf(path, readFileSync(join(root, path), "utf8")))
    if (kind === "static" && target?.endsWith(".ts") === true) loadedWith(target, loaded);
  return loaded;
}

it("a gateway that may write nothing does not load what commands it", () => {
  const loaded = [...loadedWith("gateway/supervisor.ts")];
  expect(loaded).toContain("gateway/uplink/commands.ts");
  expect(
    loaded.filter((path) =>
      /commands\/(commanding|local|desk|journal|memory|checks|told-events)\.ts$/.test(path),
    ),
  ).toEqual([]);
});

it("a gateway that is told its file loads nothing that reads site files: another process does", () => {
  const loaded = [...loadedWith("gateway/cli/run.ts")];
  expect(loaded).toContain("gateway/supervisor.ts");
  expect(
    loaded.filter((path) =>
      /config\/(site-schema|document|tree)\.ts$|gateway\/yaml\.ts$|twin\/desk\.ts$/.test(path),
    ),
  ).toEqual([]);
});
