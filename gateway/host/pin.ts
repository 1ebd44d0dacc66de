import { mkdir, open, rename } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Identity } from "../driver.ts";

/** What tells one unit from another of the same model, and what it was like when it was last seen. */
export interface Marks {
  vendor?: string;
  model?: string;
  firmware?: string;
  serial?: string;
  /** Fingerprint of the certificate that it showed. */
  certificate?: string;
}

const markNames = ["vendor", "model", "firmware", "serial", "certificate"] as const;
/** A device may tell anything; more than this of a text tells no two units apart. */
const markCharsMax = 200;

/** The marks in what a device says of itself. */
export function marksOf({ vendor, model, firmware, serial, more }: Identity): Marks {
  return known({ vendor, model, firmware, serial, certificate: more?.["certificate"] });
}

/** Registers that nobody has written yet, or of a device that is still starting: no serial number. */
const blank = /^([0\s.:-]+|[fF\s]{4,}|65535|4294967295)$/;

function known(marks: Partial<Record<keyof Marks, unknown>>): Marks {
  const texts = markNames.flatMap((name) => {
    const text = marks[name];
    if (typeof text !== "string" || text.trim() === "") return [];
    if (name === "serial" && blank.test(text.trim())) return [];
    return [[name, text.trim().slice(0, markCharsMax)]];
  });
  return Object.fromEntries(texts) as Marks;
}

/** The names of the marks that both tell and that differ. */
export function differing(before: Marks, now: Marks): (keyof Marks)[] {
  return markNames.filter(
    (name) => before[name] !== undefined && now[name] !== undefined && !same(before[name], now[name]),
  );
}

/** Devices write their serial number in capitals here and in small letters there. */
export function same(a: string, b: string): boolean {
  return a.trim().toUpperCase() === b.trim().toUpperCase();
}

/**
 * The unit that was first seen at a device's address: a small file in the driver's folder, so that it outlives
 * restarts and a look from the command line.
 */
export class Pin {
  readonly file: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(driverFolder: string, device: string) {
    this.file = join(driverFolder, "units", `${device}.json`);
  }

  /** undefined: nobody was seen yet. Throws when what stands there cannot be read. */
  read(): Marks | undefined {
    let text: string;
    try {
      text = readFileSync(this.file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) throw new Error("it holds no unit");
    return known(value);
  }

  /** All of it or nothing; one after the other. Beside the polls: a disk that hangs must not hold these up. */
  write(marks: Marks): Promise<void> {
    const written = this.#writing.then(() => writeWhole(this.file, `${JSON.stringify(marks)}\n`));
    this.#writing = written.catch(() => {});
    return written;
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  const handle = await open(fresh, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
}
