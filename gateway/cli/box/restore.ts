import { existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type ArchiveFile, unpack } from "../../archive.ts";
import { type Manifest } from "../../backup/collect.ts";
import { BackupError, readManifest, restoreBackup, type Restored } from "../../backup/restore.ts";
import { isSealed, unseal, UnsealError } from "../../backup/sealed.ts";
import { fileBytesMax } from "../../config/file-text.ts";
import { valueAt } from "../../config/path.ts";
import { holdsReference } from "../../config/references.ts";
import { siteSchema } from "../../config/site-schema.ts";
import type { Language } from "../../config/error-texts.ts";
import { type ErrorCode, exitCodes, printable, shownFile } from "../../errors.ts";
import { parseDocument } from "yaml";
import { ownerOf } from "../../outbox/owner.ts";
import { agreed } from "../agreed.ts";
import { backupWords } from "./backup-words.ts";
import { isRunning, runsError } from "./box.ts";
import { CommandError, usageError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { askPassphrase } from "./passphrase.ts";
import { systemSite } from "../site.ts";
import { span } from "../../text.ts";
import { readGiven } from "../files.ts";

export interface RestoreOptions {
  site?: string;
  force?: boolean;
  yes?: boolean;
  passphraseStdin?: boolean;
  json?: boolean;
  lang?: Language;
}

function notAllowed(code: ErrorCode, title: string, cure: string, language: Language): CommandError {
  return new CommandError({ code, exitCode: exitCodes.notAllowed, title, hint: cure, language });
}

async function openBackup(
  file: string,
  options: RestoreOptions,
  language: Language,
): Promise<{ files: ArchiveFile[]; manifest: Manifest; bytesMax: number }> {
  const words = backupWords[language];
  const bytes = readGiven(file, language);
  try {
    const packed = isSealed(bytes)
      ? await unseal(bytes, await askPassphrase(options, false, language))
      : bytes;
    const files = unpack(packed);
    const manifest = readManifest(files);
    return { files, manifest, bytesMax: budgetOf(files, manifest) };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof UnsealError)
      throw notAllowed("KERB-CLI-PASSPHRASE", words.wrongPassphrase, words.wrongPassphraseCure, language);
    const seen = (error as Error).message;
    throw usageError(words.unreadable(shownFile(file), seen), words.notBackupCure, language);
  }
}

/** Files beside the site file that are there and say something else. */
function overwritten(files: readonly ArchiveFile[], manifest: Manifest, site: string): string[] {
  return files.flatMap(({ name, bytes }) => {
    if (!name.startsWith("config/") || name === `config/${manifest.site}`) return [];
    const file = join(dirname(site), name.slice("config/".length));
    if (!existsSync(file) || (statSync(file).isFile() && readFileSync(file).equals(bytes))) return [];
    return [file];
  });
}

/** The byte budget of the saved site; the usual one where it does not say. */
function budgetOf(files: readonly ArchiveFile[], { site }: Manifest): number {
  const { bytes } = files.find(({ name }) => name === `config/${site}`) ?? {};
  if (bytes === undefined || bytes.length > fileBytesMax)
    throw new BackupError("this backup has no site file");
  const value: unknown = parseDocument(bytes.toString()).toJS({ maxAliasCount: 100 });
  const { outbox } = siteSchema.shape;
  return (outbox.safeParse(valueAt(value, ["outbox"]) ?? {}).data ?? outbox.parse({})).sizeMax;
}

function resultLines(restored: Restored, aside: string | undefined, language: Language): string[] {
  const words = backupWords[language];
  const { files, epoch, needs, leases, profilesKept, site } = restored;
  return [
    words.done(files, epoch),
    ...(aside === undefined ? [] : [words.aside(shownFile(aside))]),
    ...(leases.length === 0
      ? []
      : [
          words.leases,
          ...leases.map((one) => printable(words.lease(one.device, one.point, JSON.stringify(one.returnTo)))),
        ]),
    ...(profilesKept.length === 0 ? [] : [words.profiles(profilesKept.join(", "))]),
    ...(needs.length === 0 ? [] : [words.needs, ...needs.map((need) => printable(`  ${need}`))]),
    words.next(shownFile(site)),
  ];
}

/** `kerb restore FILE`: a box out of a backup; the old one must not run any more. */
export async function restore(file: string, options: RestoreOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = backupWords[language];
  const { files, manifest, bytesMax } = await openBackup(file, options, language);
  const site = resolve(options.site ?? (process.env["KERB_SITE"] || systemSite));
  const stateFolder = resolve(dirname(site), manifest.state);
  const box = { site, folder: stateFolder, socket: join(stateFolder, "kerb.sock"), language };
  if (await isRunning(box)) throw runsError(box);
  const isTaken = existsSync(site);
  const inTheWay = [...(isTaken ? [site] : []), ...overwritten(files, manifest, site)];
  const [first] = inTheWay;
  if (first !== undefined && options.force !== true)
    throw notAllowed("KERB-CLI-THERE", words.taken(shownFile(first)), words.takenCure, language);
  const queue = join(stateFolder, "outbox.db");
  const hasQueue = existsSync(queue);
  const owner = ownerOf(queue);
  if (owner !== undefined && owner !== manifest.gateway && !holdsReference(manifest.gateway))
    throw notAllowed(
      "KERB-OUT-OWNER",
      words.otherOwner(shownFile(stateFolder), owner, manifest.gateway),
      words.otherOwnerCure,
      language,
    );
  if (hasQueue && manifest.withBuffer)
    throw notAllowed("KERB-CLI-THERE", words.ownQueue(shownFile(stateFolder)), words.ownQueueCure, language);
  hint(
    [
      words.from(
        manifest.gateway,
        span(Date.now() - manifest.madeMs),
        words.kinds[manifest.kind].split(":")[0] ?? "",
      ),
      words.to(shownFile(site), shownFile(stateFolder)),
      ...(hasQueue ? [words.keepsState] : []),
      words.oldBox,
    ].join("\n"),
  );
  if (!(await agreed(options, words.saidNo, language))) {
    hint(words.saidNo);
    return exitCodes.interrupted;
  }
  const suffix = `.before-${Date.now()}`;
  for (const one of inTheWay) renameSync(one, one + suffix);
  const aside = isTaken ? site + suffix : undefined;
  const restored = await restoreBackup({
    files,
    manifest,
    site,
    stateFolder,
    bytesMax,
  });
  if (options.json === true) printData("restore", { ...restored, ...(aside === undefined ? {} : { aside }) });
  else printLines(resultLines(restored, aside, language));
  return exitCodes.ok;
}
