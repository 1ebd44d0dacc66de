import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, rmSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Cassette } from "../gateway/cassette/cassette.ts";
import { CommandError } from "../gateway/cli/errors.ts";
import { loadCassette } from "../gateway/cli/profile/load-cassette.ts";
import { record, type RecordOptions } from "../gateway/cli/profile/record.ts";

/** What the tests of cassettes share: pretend devices in a process of their own, and recordings of them. */

export const root = fileURLToPath(new URL("..", import.meta.url));
const launcher = join(root, "gateway", "kerb");

/** A site of its own in a folder of its own; `close` ends its pretend devices and removes it. */
export class Tapes {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-cassettes-"));
  readonly #running: ChildProcess[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  site(name: string, devices: readonly unknown[]): string {
    const gateway = { id: "tapes", name: "Tapes", city: "test" };
    writeFileSync(this.path(name), JSON.stringify({ version: 1, gateway, devices }));
    return this.path(name);
  }

  /** Starts `kerb simulate …` and gives the address on its first line. */
  async simulated(...args: string[]): Promise<string> {
    const child = spawn(launcher, ["simulate", "--json", ...args], {
      cwd: root,
      env: { PATH: process.env["PATH"], HOME: this.folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#running.push(child);
    let address = "";
    for await (const line of createInterface({ input: child.stdout })) {
      const { kind, data } = JSON.parse(line) as { kind: string; data?: { address?: string } };
      if (data === undefined) throw new Error(line);
      address ||= data.address ?? "";
      if (kind === "simulate") return address;
    }
    throw new Error("the simulator has ended");
  }

  /** Records a device of a site; gives the file, its text, the cassette and all its bytes. */
  async record(site: string, id: string, options: RecordOptions = {}) {
    const file = this.path(`${id}-${Math.random().toString(36).slice(2)}.yaml`);
    await record(id, { site, out: file, forMs: 1500, json: true, ...options });
    const cassette: Cassette = loadCassette(file);
    const bytes = Buffer.concat(cassette.connections.flat().map((frame) => frame.bytes));
    return { file, cassette, bytes, text: readFileSync(file, "utf8") };
  }

  close(): void {
    for (const child of this.#running) child.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The complaint with which a command ends. */
export async function complaintOf(work: () => unknown) {
  try {
    await work();
  } catch (error) {
    if (error instanceof CommandError) return error.complaint;
    throw error;
  }
  throw new Error("it has not failed");
}
