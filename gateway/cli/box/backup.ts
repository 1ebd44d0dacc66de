import { renameSync, rmSync, writeFileSync } from "node:fs";
import { pack } from "../../archive.ts";
import { type BackupKind, collectBackup, type Manifest } from "../../backup/collect.ts";
import { seal } from "../../backup/sealed.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { backupWords } from "./backup-words.ts";
import { type Box, type BoxOptions, findBox, isRunning, openStill, runsError } from "./box.ts";
import { byteSize } from "./buffer.ts";
import { CommandError } from "../errors.ts";
import { checkFolder } from "../out-file.ts";
import { printData, printLines } from "../output.ts";
import { askPassphrase } from "./passphrase.ts";
import { askOnce, findSite } from "../site.ts";
import { kerbVersion } from "../verbs.ts";
import { fileError } from "../files.ts";

export interface BackupOptions extends Omit<BoxOptions, "state"> {
  sealed?: boolean;
  withBuffer?: boolean;
  passphraseStdin?: boolean;
}

/** What `kerb backup --json` gives. */
export interface BackupMade {
  file: string;
  bytes: number;
  files: string[];
  manifest: Manifest;
}

/** Session numbers of the uplinks, and the id of the gateway that used them. */
async function sessionsOf(box: Box, isAlive: boolean): Promise<Record<string, number>> {
  if (isAlive) {
    const { uplinks } = await askOnce<GatewayStatus>(box.socket, { verb: "status" });
    return Object.fromEntries(uplinks.map(({ id, session }) => [id, session]));
  }
  try {
    const queue = openStill(box);
    try {
      return queue.sessions;
    } finally {
      queue.close();
    }
  } catch {
    // A box that never ran, or whose queue is damaged: its configuration is worth a backup all the same.
    return {};
  }
}

/** `kerb backup FILE`: what must outlive the box, in one file; sealed under a passphrase it holds the secrets too. */
export async function backup(file: string, options: BackupOptions): Promise<number> {
  const site = findSite(options.site);
  const box = findBox({ ...options, site });
  const words = backupWords[box.language];
  const isAlive = await isRunning(box);
  const withBuffer = options.withBuffer === true;
  if (withBuffer && isAlive) throw runsError(box);
  checkFolder(file, box.language);
  const kind: BackupKind = options.sealed === true ? "sealed" : "portable";
  const passphrase = kind === "sealed" ? await askPassphrase(options, true, box.language) : "";
  const madeMs = Date.now();
  let found: ReturnType<typeof collectBackup>;
  try {
    const sessions = await sessionsOf(box, isAlive);
    const what = { site, stateFolder: box.folder, kind, withBuffer, sessions, kerb: kerbVersion(), madeMs };
    found = collectBackup(what);
  } catch (error) {
    const { message } = error as Error;
    const title = `${words.failed}: ${message}`;
    const [code, exitCode] = ["KERB-CLI-FAILED", exitCodes.unexpected] as const;
    throw new CommandError({ code, exitCode, title, hint: words.failedCure, language: box.language });
  }
  const { files, manifest } = found;
  const packed = pack(files, madeMs);
  const bytes = kind === "sealed" ? await seal(packed, passphrase) : packed;
  // The backup before it stays until this one is whole.
  const part = `${file}.part`;
  try {
    rmSync(part, { force: true });
    writeFileSync(part, bytes, { mode: 0o600, flush: true, flag: "wx" });
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    throw fileError(file, error, "write", box.language);
  }
  const names = files.map(({ name }) => name);
  if (options.json === true) printData("backup", { file, bytes: bytes.length, files: names, manifest });
  else
    printLines([
      words.written(shownFile(file), byteSize(bytes.length), names.length),
      words.kinds[kind],
      words.buffer[withBuffer ? "with" : "without"],
      ...(manifest.needs.length === 0 ? [] : [words.needs, ...manifest.needs.map((need) => `  ${need}`)]),
    ]);
  return exitCodes.ok;
}
