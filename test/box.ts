import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** A copy of kerb with some drivers and some packages only: what a box has on which nothing else was installed. */

const root = fileURLToPath(new URL("..", import.meta.url));
const packages = join(root, "node_modules");

export interface BoxOptions {
  /** Drivers of the project that are installed. */
  drivers?: readonly string[];
  /** Packages that are installed; absent: all. */
  packages?: readonly string[];
  /** Further files, by their path in the box. */
  files?: Readonly<Record<string, string>>;
}

/** The names of all installed packages, "@scope/name" too. */
function packageNames(): string[] {
  return readdirSync(packages)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) =>
      name.startsWith("@") ? readdirSync(join(packages, name)).map((inner) => `${name}/${inner}`) : [name],
    );
}

const isProduct = (path: string): boolean => !path.endsWith(".test.ts");

/** A folder with `gateway/kerb` and what it needs; the caller removes it. */
export class Box {
  readonly folder: string;
  readonly launcher: string;

  constructor({ drivers = [], packages: installed = packageNames(), files = {} }: BoxOptions) {
    this.folder = mkdtempSync(join(tmpdir(), "kerb-box-"));
    this.launcher = join(this.folder, "gateway", "kerb");
    const shared = ["package.json", "gateway", "firmware-profiles", "simulators/simulator.ts"];
    const kept = [...shared, ...drivers.map((name) => `drivers/${name}`)];
    mkdirSync(join(this.folder, "drivers"));
    for (const path of kept)
      cpSync(join(root, path), join(this.folder, path), {
        recursive: true,
        filter: (source) => isProduct(relative(root, source)),
      });
    for (const name of new Set([".bin", ...installed])) this.#link(name);
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  #link(name: string): void {
    const place = join(this.folder, "node_modules", name);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(join(packages, name), place);
  }

  /** Writes a file of the box; gives its whole path. */
  write(path: string, text: string): string {
    const place = join(this.folder, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, text);
    return place;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
