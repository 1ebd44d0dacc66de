import { existsSync } from "node:fs";
import { ConfigError, type Diagnostic } from "../errors.ts";
import { listProfiles, loadProfile, type Profile } from "../profiles/profiles.ts";
import { readYaml } from "./yaml.ts";
import type { YamlDocument } from "./document.ts";
import { listDrivers } from "./drivers.ts";
import { asRead, fileBytesMax, type FileText, readText } from "./file-text.ts";
import type { Path } from "./path.ts";
import { didYouMean } from "./words.ts";

function shownPlace(place: string): string {
  const near = `${process.cwd()}/`;
  return place.startsWith(near) ? place.slice(near.length) : place;
}

/** A profile with its text at hand, for the places of mistakes that only a driver's schema can find. */
export interface OpenProfile {
  profile: Profile;
  document: YamlDocument;
}

/** The files of a site while they are read: what is wrong in them, and the ids that are taken. */
export class SiteFiles {
  readonly #documents: YamlDocument[] = [];
  readonly #profileDocuments: YamlDocument[] = [];
  /** Mistakes of files that could not be opened as documents. */
  readonly #broken: Diagnostic[] = [];
  readonly drivers = listDrivers();
  readonly #profileFolder: string;
  readonly #profileIds: string[];
  readonly #profiles = new Map<string, OpenProfile | undefined>();
  readonly #places = new Map<string, string>();
  readonly #given: ReadonlyMap<string, string>;
  /** The files that were opened, byte for byte as text. */
  readonly texts: Map<string, string>;
  /** The site says where its cabinet stands. */
  hasPlace = false;

  /** `given`: files that are read from here and not from the disk, by absolute path. */
  constructor(
    folder: string,
    given: ReadonlyMap<string, string> = new Map(),
    texts = new Map<string, string>(),
  ) {
    this.#given = given;
    this.texts = texts;
    this.#profileFolder = folder;
    this.#profileIds = existsSync(folder) ? listProfiles(folder) : [];
  }

  /** All mistakes and warnings so far: of the site's own files, then of the profiles. */
  get found(): Diagnostic[] {
    const documents = [...this.#documents, ...this.#profileDocuments];
    return [...documents.flatMap(({ mistakes }) => mistakes), ...this.#broken];
  }

  /** Reads something, or records why it cannot be read. */
  #attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#broken.push(...error.diagnostics);
      return undefined;
    }
  }

  #read(file: string): FileText {
    const given = this.#given.get(file);
    const content = given === undefined ? readText(file, fileBytesMax) : asRead(given);
    if ("raw" in content) this.texts.set(file, content.raw);
    return content;
  }

  /** Opens a file, or records why it cannot be. */
  open(file: string, secretsFolder: string): YamlDocument | undefined {
    const read = (path: string) => this.#read(path);
    const document = this.#attempt(() => readYaml(file, { secretsFolder, read }));
    if (document !== undefined) this.#documents.push(document);
    return document;
  }

  #openProfile(id: string): OpenProfile | undefined {
    if (this.#profiles.has(id)) return this.#profiles.get(id);
    const opened = this.#attempt(() => {
      const profile = loadProfile(id, this.#profileFolder);
      return { profile, document: readYaml(profile.file, { references: false }) };
    });
    if (opened !== undefined) this.#profileDocuments.push(opened.document);
    this.#profiles.set(id, opened);
    return opened;
  }

  /** The profile that a device names; undefined with the mistake recorded when there is none, or a wrong one. */
  profileOf(document: YamlDocument, path: Path, id: string, driver: string): OpenProfile | undefined {
    const at = [...path, "profile"];
    if (!this.#profileIds.includes(id)) {
      const hint = didYouMean(id, this.#profileIds);
      document.mistake(at, "KERB-CFG-VALUE", `unknown profile ${document.shown(at)}${hint}`);
      return undefined;
    }
    const opened = this.#openProfile(id);
    if (opened === undefined || opened.profile.driver === driver) return opened;
    const message = `this profile is for the driver "${opened.profile.driver}", the device has ${document.shown([...path, "driver"])}`;
    document.mistake(at, "KERB-CFG-VALUE", message);
    return undefined;
  }

  /** Records an id that was used before, naming both places. `kind` keeps devices and uplinks apart. */
  unique(kind: string, document: YamlDocument, path: Path, id: unknown): void {
    if (typeof id !== "string") return;
    const at = [...path, "id"];
    const { file, line, column } = document.locate(at);
    const first = this.#places.get(`${kind} ${id}`);
    if (first === undefined) this.#places.set(`${kind} ${id}`, `${file}:${line}:${column}`);
    else
      document.mistake(
        at,
        "KERB-CFG-DUPLICATE",
        `the id ${document.shown(at)} is used twice: first at ${shownPlace(first)}`,
      );
  }
}
