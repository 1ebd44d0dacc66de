import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

/** What the project installs, and under which licence it stands. */

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

describe("packages", () => {
  const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
  const lock = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { resolved?: string; hasInstallScript?: boolean; version?: string }>;
  };
  const wanted = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}),
  );

  test("are pinned to exact versions, the locked ones", () => {
    expect(wanted.length).toBeGreaterThan(10);
    expect(wanted.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
    for (const [name, version] of wanted)
      expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
  });

  test("are locked without the host they came from", () => {
    expect(Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  test("run nothing while they are installed", () => {
    const scripted = Object.entries(lock.packages).filter(
      ([, { hasInstallScript }]) => hasInstallScript === true,
    );
    expect(scripted.map(([path]) => path)).toEqual([
      "node_modules/@serialport/bindings-cpp",
      "node_modules/protobufjs",
    ]);
    expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/m);
  });

  test("are under the licence that the project names", () => {
    expect(manifest["license"]).toBe("Apache-2.0");
    expect(read("LICENSE")).toMatch(/Apache License\s+Version 2\.0/);
  });
});
