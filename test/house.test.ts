import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type Import, importsOf, isCode } from "./imports.ts";

/** The rules of the house that no type and no unit test can see: who imports whom, what stands in the folder. */

const root = fileURLToPath(new URL("..", import.meta.url));

/** Every file of the project, tracked or new, as a path from its root. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));

const read = (path: string): string => readFileSync(join(root, path), "utf8");
/** Tests beside the code, and what they share: never part of the product. */
const isTest = (path: string): boolean => /\.test\.ts$|(^|\/)(testing|test-[a-z-]+)\.ts$|^test\//.test(path);

// ---------------------------------------------------------------------------------------------- who imports whom

/** The only places where the gateway reaches a driver or a simulator, and what they load by its name. */
const byName: Record<string, string> = {
  "gateway/config/drivers.ts": "drivers/*/settings.ts",
  "gateway/discovery/looks.ts": "drivers/*/discover.ts",
  "gateway/host/main.ts": "drivers/*/index.ts",
  "gateway/field/field.ts": "drivers/*/index.ts",
  "gateway/diagnosis/knowledge.ts": "drivers/*/diagnose.ts",
  "gateway/cli/simulate/simulate.ts": "simulators/*/index.ts",
  "gateway/cassette/player-opcua.ts": "simulators/*/index.ts",
  "gateway/cli/simulate/broker.ts": "simulators/*/index.ts",
};

const simulatorContract = "simulators/simulator.ts";
/** What simulators share: the contract, and where they listen. Neither knows a protocol. */
const sharedBySimulators = [simulatorContract, "simulators/media.ts"];

/** The command line itself, what starts it, the one table of all errors, and tests. */
const mayUseCli = (path: string): boolean =>
  path.startsWith("gateway/cli/") || ["gateway/main.ts", "gateway/errors.ts"].includes(path) || isTest(path);

/** Why an import breaks the rules; undefined = it does not. */
function breach(path: string, { target, kind }: Import): string | undefined {
  const [zone, name] = path.split("/");
  if (zone === "test" || target?.startsWith("npm:") === true) return undefined;
  // Exempt: a test may load what it has just written.
  if (target === undefined) return isTest(path) ? undefined : "loads a file that cannot be known from here";
  if (target.startsWith("test/")) {
    // Exempt: a test beside the code may start a script of test/ as a process of its own.
    return isTest(path) && kind === "process" ? undefined : "nothing imports test/";
  }
  if (isTest(target) && !isTest(path)) return "the product imports what is for tests";
  if (zone === "drivers") {
    if (target === "gateway/driver.ts" || target.startsWith(`drivers/${name}/`)) return undefined;
    return "a driver imports its own folder, npm and gateway/driver.ts";
  }
  if (zone === "simulators") {
    if (sharedBySimulators.includes(target) || target.startsWith(`simulators/${name}/`)) return undefined;
    return "a simulator imports its own folder, npm, simulators/simulator.ts and simulators/media.ts";
  }
  if (zone !== "gateway") return undefined;
  if (target.startsWith("gateway/cli/") && !mayUseCli(path))
    return "the command line uses the gateway, and not the other way round";
  if (!/^(drivers|simulators)\//.test(target)) return undefined;
  // Exempt: a test of the gateway may use the seeded random numbers of the contract.
  if (target === simulatorContract && (kind === "type" || isTest(path))) return undefined;
  // Exempt: a test of the gateway may load any driver, but like the gateway by its name and at run time.
  const isByName = kind === "dynamic" && (isTest(path) ? target.includes("*") : byName[path] === target);
  return isByName ? undefined : "the gateway knows drivers and simulators only by name";
}

/** The circles among the files of a graph, each as "a -> b -> a". */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, above: readonly string[]): void => {
    const at = above.indexOf(path);
    if (at >= 0) found.push([...above.slice(at), path].join(" -> "));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...above, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** Every breach in a tree of files (path to text), as "path -> target: reason". */
function breaches(tree: Readonly<Record<string, string>>): string[] {
  const graph = new Map<string, string[]>();
  const found: string[] = [];
  for (const [path, text] of Object.entries(tree)) {
    const imports = importsOf(path, text);
    for (const one of imports) {
      const reason = breach(path, one);
      if (reason !== undefined) found.push(`${path} -> ${one.target ?? "?"}: ${reason}`);
    }
    if (path.startsWith("gateway/")) {
      // Another thread or process that runs a file does not import it.
      graph.set(
        path,
        imports.flatMap(({ target, kind }) => (kind === "process" ? [] : (target ?? []))),
      );
    }
  }
  return [...found, ...circles(graph).map((circle) => `${circle}: a circle`)];
}

/** Breaks of the rules, one file each, and what the checker must say of it. The linter must see those without "only". */
const plants: { name: string; path: string; text: string; only?: "checker" }[] = [
  {
    name: "driver → driver",
    path: "drivers/alpha/index.ts",
    text: 'import { x } from "../beta/codec.ts"; void x;',
  },
  {
    name: "driver → driver, by a detour",
    path: "drivers/alpha/detour.ts",
    text: 'export * from "./../beta/codec.ts";',
  },
  {
    name: "driver → simulator",
    path: "drivers/alpha/mirror.ts",
    text: 'import { x } from "../../simulators/alpha/words.ts"; void x;',
  },
  {
    name: "driver → gateway internals",
    path: "drivers/alpha/event.ts",
    text: 'import type { X } from "../../gateway/event.ts"; export type Y = X;',
  },
  {
    name: "driver → gateway internals, at run time",
    path: "drivers/alpha/lazy.ts",
    text: 'export const x = await import("../../gateway/event.ts");',
    only: "checker",
  },
  {
    name: "driver → test",
    path: "drivers/alpha/a.test.ts",
    text: 'import { x } from "../../test/setup.ts"; void x;',
  },
  {
    name: "simulator → driver",
    path: "simulators/alpha/index.ts",
    text: 'import { x } from "../../drivers/alpha/codec.ts"; void x;',
  },
  {
    name: "simulator → simulator",
    path: "simulators/alpha/other.ts",
    text: 'import { x } from "../beta/index.ts"; void x;',
  },
  {
    name: "simulator → another shared file",
    path: "simulators/alpha/codec.ts",
    text: 'import { x } from "../codec.ts"; void x;',
  },
  {
    name: "what simulators share → simulator",
    path: "simulators/media.ts",
    text: 'import { x } from "./beta/words.ts"; void x;',
  },
  {
    name: "simulator → gateway",
    path: "simulators/alpha/clock.ts",
    text: 'import { x } from "../../gateway/clock.ts"; void x;',
  },
  {
    name: "simulator → test",
    path: "simulators/alpha/t.ts",
    text: 'import { x } from "../../test/setup.ts"; void x;',
  },
  {
    name: "gateway → driver",
    path: "gateway/a.ts",
    text: 'import { x } from "../drivers/alpha/codec.ts"; void x;',
  },
  {
    name: "gateway → type of a driver",
    path: "gateway/cli/b.ts",
    text: 'import type { X } from "../../drivers/alpha/settings.ts"; export type Y = X;',
  },
  {
    name: "gateway → driver by name, in another file than those that may",
    path: "gateway/c.ts",
    text: "export const x = (name: string) => import(`../drivers/${name}/index.ts`);",
    only: "checker",
  },
  {
    name: "gateway → simulator",
    path: "gateway/d.ts",
    text: 'import { x } from "../simulators/alpha/index.ts"; void x;',
  },
  {
    name: "gateway → values of the simulator contract",
    path: "gateway/e.ts",
    text: 'import { faults } from "../simulators/simulator.ts"; void faults;',
  },
  {
    name: "gateway → command line",
    path: "gateway/uplink/i.ts",
    text: 'import { x } from "../cli/output.ts"; void x;',
    only: "checker",
  },
  { name: "gateway → test", path: "gateway/f.ts", text: 'import { x } from "../test/setup.ts"; void x;' },
  {
    name: "gateway → what it is told",
    path: "gateway/g.ts",
    text: "export const x = (path: string) => import(path);",
    only: "checker",
  },
  {
    name: "product → testing",
    path: "gateway/receiver/h.ts",
    text: 'import { x } from "./testing.ts"; void x;',
    only: "checker",
  },
];

const lawful: Record<string, string> = {
  "drivers/beta/index.ts":
    'import { x } from "./codec.ts"; import { DeviceError } from "../../gateway/driver.ts"; void x; void DeviceError;',
  "drivers/beta/codec.ts":
    'import { connect } from "node:net"; import { z } from "zod"; export const x = [connect, z];',
  "simulators/beta/index.ts":
    'import { seededRandom } from "../simulator.ts"; import { y } from "./words.ts"; void seededRandom; void y;',
  "simulators/beta/endpoint.ts": 'import { z } from "../media.ts"; void z;',
  "gateway/host/main.ts": "export const x = (n: string) => import(`../../drivers/${n}/index.ts`);",
  "gateway/cli/simulate/simulate.ts":
    'import type { Simulator } from "../../simulators/simulator.ts"; export type S = Simulator;',
  "test/a.test.ts": 'import { x } from "../drivers/beta/codec.ts"; void x;',
};
const circle: Record<string, string> = {
  "gateway/one.ts": 'import { two } from "./two.ts"; export const one = () => two;',
  "gateway/two.ts": 'import { one } from "./one.ts"; export const two = () => one;',
};

describe("who imports whom", () => {
  // It reads and parses the whole repository.
  test("holds in every file", { timeout: 120_000 }, () => {
    const code = files.filter((path) => isCode(path) && path !== "vitest.config.ts");
    expect(code.length).toBeGreaterThan(100);
    expect(breaches(Object.fromEntries(code.map((path) => [path, read(path)])))).toEqual([]);
  });

  test("the files that load by name still do", () => {
    for (const [path, target] of Object.entries(byName)) {
      expect(importsOf(path, read(path)).map((one) => one.target)).toContain(target);
    }
  });

  test("a host loads no zod, no YAML, no SQLite and no table of texts", () => {
    const starts = files.filter((path) => /^(gateway\/host\/main|drivers\/[^/]+\/index)\.ts$/.test(path));
    const loaded = new Set(starts);
    const found: string[] = [];
    // A set is also walked over what is added on the way.
    for (const path of loaded) {
      for (const { target = "", kind } of importsOf(path, read(path))) {
        if (kind === "type" || kind === "process") continue;
        if (/^npm:(zod|yaml|better-sqlite3)\b|-(texts|words)\.ts$/.test(target))
          found.push(`${path} -> ${target}`);
        else if (files.includes(target)) loaded.add(target);
      }
    }
    expect(starts.length).toBeGreaterThan(8);
    expect(found).toEqual([]);
  });

  test.each(plants)("finds a planted break: $name", ({ path, text }) => {
    expect(breaches({ ...lawful, [path]: text })).toEqual([expect.stringContaining(`${path} -> `)]);
  });

  test("finds a planted circle, and nothing in lawful files", () => {
    expect(breaches(lawful)).toEqual([]);
    expect(breaches({ ...lawful, ...circle })).toEqual([
      "gateway/one.ts -> gateway/two.ts -> gateway/one.ts: a circle",
    ]);
  });
});

describe("the linter", () => {
  // A copy of its own: the overrides hold for paths from the folder of the configuration.
  const folder = mkdtempSync(join(tmpdir(), "kerb-house-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  interface Diagnostic {
    code: string;
    filename: string;
  }

  test("flags the same planted breaks, and no lawful file", () => {
    const seen = plants.filter(({ only }) => only === undefined);
    const tree = { ...lawful, ...circle, ...Object.fromEntries(seen.map(({ path, text }) => [path, text])) };
    for (const [path, text] of Object.entries(tree)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    cpSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
    const { stdout, stderr } = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format", "json"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] };
    const flagged = (rule: string): string[] =>
      [
        ...new Set(diagnostics.filter(({ code }) => code.includes(rule)).map(({ filename }) => filename)),
      ].toSorted();
    expect(flagged("no-restricted-imports")).toEqual(seen.map(({ path }) => path).toSorted());
    expect(flagged("no-cycle")).toEqual(["gateway/one.ts", "gateway/two.ts"]);
  });
});

// -------------------------------------------------------------------------------------- what stands in the files

describe("texts", () => {
  // Put together here, so that this file does not name them either.
  const forbidden = [
    {
      what: "a path of one machine",
      pattern: new RegExp(`(^|[^\\w.*-])/(${["work", "root", "home"].join("|")})/\\w`),
    },
    {
      what: "a package registry",
      pattern: new RegExp(
        `\\b(registry|artifactory|nexus|verdaccio)\\.[a-z0-9-]+\\.[a-z]|\\b(${["npmjs", "yarnpkg", "pypi", "pythonhosted"].join("|")})\\.(org|com)\\b`,
      ),
    },
  ];

  function named(text: string): string[] {
    return forbidden.filter(({ pattern }) => pattern.test(text)).map(({ what }) => what);
  }

  test("name no registry and no path of one machine", () => {
    const found = files
      .filter((path) => !path.endsWith(".bin"))
      .flatMap((path) =>
        read(path)
          .split("\n")
          .flatMap((line, index) => named(line).map((what) => `${path}:${index + 1}: ${what}`)),
      );
    expect(found).toEqual([]);
  });

  test("the patterns find what they are for", () => {
    const [machine, registry] = forbidden.map(({ what }) => what);
    expect(named(["see ", "work", "main"].join("/"))).toEqual([machine]);
    for (const host of [
      ["registry", "npmjs", "org"],
      ["registry", "example", "vn"],
    ]) {
      expect(named(`https://${host.join(".")}/zod`)).toEqual([registry]);
    }
    const harmless = ["network", "work", "x"].join("/");
    expect(named(`import.meta.url, ${harmless}, ./home/a, registry: none`)).toEqual([]);
  });
});

describe("sizes", () => {
  const linesMax = 500;
  /** Files that may be longer, and why. Only tables of text belong here. */
  const tables: Record<string, string> = {
    "gateway/config/error-texts.ts": "a table of texts in two languages",
  };

  test(`no file is longer than ${linesMax} lines, tests among them`, () => {
    const sizes = files
      .filter((path) => /^(gateway|drivers|simulators|test)\/.*\.ts$/.test(path))
      .map((path) => ({ path, lines: read(path).split("\n").length - 1 }))
      .toSorted((a, b) => b.lines - a.lines);
    const long = sizes.filter(({ lines }) => lines > 400);
    console.log(["files over 400 lines:", ...long.map(({ path, lines }) => `${lines} ${path}`)].join("\n  "));
    expect(long.filter(({ path, lines }) => lines > linesMax && tables[path] === undefined)).toEqual([]);
    expect(Object.keys(tables).filter((path) => !files.includes(path))).toEqual([]);
  });
});

describe("tests", () => {
  test("that skip what a machine has not say so", () => {
    const silent = files.filter((path) => {
      const text = isCode(path) && isTest(path) ? read(path) : "";
      if (!/\.(skipIf|runIf)\(/.test(text)) return false;
      const near = importsOf(path, text).flatMap(({ target = "" }) =>
        files.includes(target) ? [target] : [],
      );
      return ![path, ...near].some((one) => read(one).includes("skipped: "));
    });
    expect(silent).toEqual([]);
  });
});

describe("the top level", () => {
  const folders = ["gateway", "drivers", "simulators", "firmware-profiles", "config", "test"];
  const documents = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE",
  ];
  /** What tools look for at the root, and nowhere else. */
  const tools = [
    ".ci",
    ".gitattributes",
    ".gitignore",
    ".npmrc",
    ".oxfmtrc.json",
    ".oxlintrc.json",
    "knip.json",
    "package-lock.json",
    "package.json",
    "tsconfig.json",
    "vitest.config.ts",
  ];

  test("has nothing that is not on its list", () => {
    const entries = new Set(files.map((path) => path.split("/")[0]));
    expect([...entries].filter((entry) => ![...folders, ...documents, ...tools].includes(entry!))).toEqual(
      [],
    );
    for (const folder of folders) expect(entries).toContain(folder);
  });

  test("drivers have flat folders, each with its mirror among the simulators", () => {
    const names = new Set(
      files.filter((path) => path.startsWith("drivers/")).map((path) => path.split("/")[1]!),
    );
    for (const name of names) {
      expect(existsSync(join(root, `simulators/${name}/index.ts`)), `simulators/${name}/index.ts`).toBe(true);
    }
    const deep = files.filter((path) => /^(drivers|simulators)\/[^/]+\/(?!frames\/)[^/]+\//.test(path));
    expect(deep).toEqual([]);
  });
});
