import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Acknowledged, startWriter } from "./outbox-check.ts";

/**
 * Power cuts in user space: a library that logs every write of a program (write-log.c), and a replayer that builds
 * from the log what a disk could hold after a cut at any moment.
 */

/** One operation of the log on one file; `file` tells files apart that had the same name one after the other. */
interface Operation {
  kind: "create" | "write" | "truncate" | "sync" | "unlink" | "rename";
  name: string;
  file: number;
  offset: number;
  data: Buffer;
}

/**
 * What survives a cut of the writes that were not synced. strict: none; reorder4k, torn512: any blocks of that size;
 * garbage: sectors old, new or random; lie: the disk only pretended to sync, the last 200 writes survive at random.
 */
export type Model = "strict" | "reorder4k" | "torn512" | "garbage" | "lie";

/** The files of the folder after a cut, and what had been acknowledged before it. */
export interface CrashImage {
  files: Map<string, Buffer>;
  acknowledged: Acknowledged;
}

const kinds = ["create", "write", "truncate", "sync", "unlink", "rename"] as const;
const acknowledgedName = "acknowledged";
const volatileWrites = 200;
/** Four of five cuts fall behind this acknowledgement: a queue under load; the fifth may hit the file's creation. */
const warmAcknowledgements = 50;

/** Runs the acknowledging writer in a folder of its own under `folder` and returns what it did to its files. */
export async function logWriter(
  folder: string,
  mode: "product" | "normal",
  commits: number,
): Promise<Operation[]> {
  const library = join(folder, "write-log.so");
  const source = fileURLToPath(new URL("write-log.c", import.meta.url));
  execFileSync("gcc", ["-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], { stdio: "inherit" });
  const state = join(folder, `state-${mode}`);
  const log = join(folder, `log-${mode}`);
  mkdirSync(state);
  const environment = { LD_PRELOAD: library, KERB_WRITE_LOG: log, KERB_WRITE_LOG_FOLDER: state };
  const [path, acknowledged] = [join(state, "outbox.db"), join(state, acknowledgedName)];
  const writer = startWriter(path, acknowledged, { mode, commits, environment });
  const [code] = (await once(writer, "close")) as [number | null];
  if (code !== 0) throw new Error(`the logged writer ended with ${code}`);
  return parseLog(readFileSync(log));
}

function parseLog(log: Buffer): Operation[] {
  const operations: Operation[] = [];
  const names = new Map<string, number>();
  let files = 0;
  for (let at = 0; at < log.length;) {
    const kind = kinds[(log[at] ?? 0) - 1] ?? "sync";
    const dataAt = at + 16 + (log[at + 1] ?? 0);
    const end = dataAt + log.readUInt32LE(at + 4);
    const name = log.toString("latin1", at + 16, dataAt);
    if (!names.has(name)) names.set(name, files++);
    const file = names.get(name) ?? 0;
    const data = log.subarray(dataAt, end);
    if (kind === "unlink" || kind === "rename") names.delete(name);
    if (kind === "rename") names.set(data.toString("latin1"), file);
    operations.push({ kind, name, file, offset: Number(log.readBigUInt64LE(at + 8)), data });
    at = end;
  }
  return operations;
}

/** The bytes of one file. */
class Content {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 65_536) {
    this.#bytes = Buffer.alloc(capacity);
  }

  write(offset: number, data: Uint8Array): void {
    this.#grow(offset + data.length);
    this.#bytes.set(data, offset);
  }

  truncate(size: number): void {
    this.#bytes.fill(0, size, Math.max(size, this.#length));
    this.#grow(size);
    this.#length = size;
  }

  #grow(length: number): void {
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(2 * length);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#length = Math.max(this.#length, length);
  }

  copy(): Content {
    const copy = new Content(this.#length + 65_536);
    copy.write(0, this.bytes);
    return copy;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** What lies on the platter, what waits in the caches, and who is called what. */
class Disk {
  readonly #durable = new Map<number, Content>();
  #names = new Map<string, number>();
  #pending: Operation[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  take(operation: Operation): void {
    if (operation.kind === "sync") this.#sync(operation);
    else this.#pending.push(operation);
  }

  /** A file's bytes are safe by its own sync; names (create, unlink, rename) only by that of their folder. */
  #sync({ name, file }: Operation): void {
    const safe = (one: Operation) =>
      name === "." ? changesNames(one) : one.file === file && !changesNames(one);
    for (const one of this.#pending) if (safe(one)) apply(one, this.#durable, this.#names);
    this.#pending = this.#pending.filter((one) => !safe(one));
  }

  /** An honest disk after a cut: what was synced, and what `model` lets survive of the rest. */
  cut(model: Model): Map<string, Buffer> {
    const contents = new Map([...this.#durable].map(([file, content]) => [file, content.copy()]));
    const names = new Map(this.#names);
    const share = [0.1, 0.5, 0.9][Math.floor(this.#random() * 3)] ?? 0.5;
    // Names go through a journal: the first of them survive, in their order.
    let survivingNames = model === "strict" ? 0 : Math.floor(this.#random() * (this.#pending.length + 1));
    for (const one of this.#pending) {
      if (changesNames(one)) {
        if (survivingNames-- > 0) apply(one, contents, names);
      } else if (model === "strict") continue;
      else if (one.kind === "truncate") {
        if (this.#random() < share) apply(one, contents, names);
      } else this.#tear(one, model === "reorder4k" ? 4096 : 512, model === "garbage", share, contents);
    }
    return named(contents, names);
  }

  /** The blocks of one write, of which some arrive. */
  #tear(
    write: Operation,
    size: number,
    garbage: boolean,
    share: number,
    contents: Map<number, Content>,
  ): void {
    const { offset, data, file } = write;
    for (let at = offset; at < offset + data.length;) {
      const end = Math.min(offset + data.length, (Math.floor(at / size) + 1) * size);
      const block = data.subarray(at - offset, end - offset);
      if (garbage && this.#random() < 1 / 3) {
        const noise = Buffer.from(block).map(() => Math.floor(this.#random() * 256));
        contentOf(contents, file).write(at, noise);
      } else if (this.#random() < share) contentOf(contents, file).write(at, block);
      at = end;
    }
  }
}

function changesNames({ kind }: Operation): boolean {
  return kind === "create" || kind === "unlink" || kind === "rename";
}

function contentOf(contents: Map<number, Content>, file: number): Content {
  const content = contents.get(file) ?? new Content();
  contents.set(file, content);
  return content;
}

function apply(one: Operation, contents: Map<number, Content>, names: Map<string, number>): void {
  const { kind, name, file, offset, data } = one;
  if (kind === "write") contentOf(contents, file).write(offset, data);
  else if (kind === "truncate") contentOf(contents, file).truncate(offset);
  else if (kind === "create") names.set(name, file);
  else if (kind !== "sync") names.delete(name);
  if (kind === "rename") names.set(data.toString("latin1"), file);
}

function named(contents: Map<number, Content>, names: Map<string, number>): Map<string, Buffer> {
  const own = [...names].filter(([name]) => name !== acknowledgedName);
  return new Map(own.map(([name, file]) => [name, contents.get(file)?.bytes ?? Buffer.alloc(0)]));
}

/** Sorted moments of the log at which the power goes. */
function cutPoints(operations: readonly Operation[], count: number, random: () => number): number[] {
  const said = operations.flatMap(({ name, kind }, i) =>
    name === acknowledgedName && kind === "write" ? [i] : [],
  );
  const warm = said[Math.min(warmAcknowledgements, said.length - 1)] ?? 0;
  const points = Array.from({ length: count }, () => {
    const from = random() < 0.8 ? warm : 0;
    return from + Math.floor(random() * (operations.length - from));
  });
  return points.sort((a, b) => a - b);
}

function acknowledgedIn({ name, kind, data }: Operation): Acknowledged | undefined {
  if (name !== acknowledgedName || kind !== "write") return undefined;
  return { newest: data.readDoubleLE(0), released: data.readDoubleLE(8) };
}

/** `count` images of one model at random moments, in the order of the log; the same `random` gives the same ones. */
export function* crashImages(
  operations: readonly Operation[],
  model: Model,
  count: number,
  random: () => number,
): Generator<CrashImage> {
  if (model === "lie") {
    yield* lyingDisk(operations, count, random);
    return;
  }
  const disk = new Disk(random);
  let acknowledged: Acknowledged = { newest: 0, released: 0 };
  let at = 0;
  for (const point of cutPoints(operations, count, random)) {
    for (; at < point; at++) {
      const operation = operations[at] as Operation;
      acknowledged = acknowledgedIn(operation) ?? acknowledged;
      disk.take(operation);
    }
    yield { files: disk.cut(model), acknowledged };
  }
}

/** A disk that said "synced" while the last 200 writes were still on their way, in any order. */
function* lyingDisk(
  operations: readonly Operation[],
  count: number,
  random: () => number,
): Generator<CrashImage> {
  const onWay = operations.flatMap(({ kind, name }, i) =>
    kind === "write" && name !== acknowledgedName ? [i] : [],
  );
  const settled = new Map<number, Content>();
  const names = new Map<string, number>();
  let acknowledged: Acknowledged = { newest: 0, released: 0 };
  let [at, heard] = [0, 0];
  for (const point of cutPoints(operations, count, random)) {
    for (; heard < point; heard++)
      acknowledged = acknowledgedIn(operations[heard] as Operation) ?? acknowledged;
    const writesBefore = onWay.findLastIndex((i) => i < point) + 1;
    const border = onWay[Math.max(0, writesBefore - volatileWrites)] ?? 0;
    for (; at < Math.min(border, point); at++) apply(operations[at] as Operation, settled, names);
    const contents = new Map([...settled].map(([file, content]) => [file, content.copy()]));
    const imageNames = new Map(names);
    const rest = operations.slice(at, point);
    for (const one of rest) if (changesNames(one)) apply(one, contents, imageNames);
    const surviving = rest.filter((one) => !changesNames(one) && one.kind !== "sync" && random() < 0.5);
    for (const one of shuffled(surviving, random)) apply(one, contents, imageNames);
    yield { files: named(contents, imageNames), acknowledged };
  }
}

function shuffled<Item>(items: Item[], random: () => number): Item[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j] as Item, items[i] as Item];
  }
  return items;
}

/** Writes an image into an empty folder; returns the path of its outbox. */
export function layOut(image: CrashImage, folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of image.files) writeFileSync(join(folder, name), bytes);
  return join(folder, "outbox.db");
}
