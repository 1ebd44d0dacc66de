import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, relative, resolve } from "node:path";
import { readSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { secretFile, writeSecret } from "../../config/devices-file.ts";
import { ConfigError, exitCodes, shownFile } from "../../errors.ts";
import { checkWritable } from "../device/device-save.ts";
import { CommandError, usageError } from "../errors.ts";
import { initWords } from "./init-words.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { askLine, givenPassword, isPersonThere, NoAnswerError } from "../prompt.ts";
import { localSite, siteFlag, systemSite, typed, usualSite } from "../site.ts";
import { pad } from "../../text.ts";

export interface InitOptions {
  id?: string;
  name?: string;
  city?: string;
  broker?: string;
  user?: string;
  passwordStdin?: boolean;
  ca?: string;
  cert?: string;
  key?: string;
  insecure?: boolean;
  json?: boolean;
  lang?: Language;
}

interface Answers {
  id: string;
  name: string;
  city: string;
  broker: string | undefined;
  user: string | undefined;
  password: string | undefined;
}

type Words = (typeof initWords)["en"];

const secretName = "broker";

/** "q1-cabinet" of the machine's name; a box that was never named is a cabinet too. */
function proposedId(): string {
  const id = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .slice(0, 40);
  return id.length < 3 || id === "localhost" ? "cabinet-01" : id;
}

async function answers(options: InitOptions, words: Words, language: Language): Promise<Answers> {
  const canAsk = options.json !== true && isPersonThere();
  const proposed = proposedId();
  const asked = async (given: string | undefined, question: string): Promise<string | undefined> => {
    const said = given ?? (canAsk ? await askLine(question) : "");
    return said === "" ? undefined : said;
  };
  const id = (await asked(options.id, words.askId(proposed))) ?? (canAsk ? proposed : undefined);
  if (id === undefined) throw usageError(words.noId, words.noIdCure(proposed), language);
  const name = (await asked(options.name, words.askName(id))) ?? id;
  const city = await asked(options.city, words.askCity);
  if (city === undefined) throw usageError(words.noCity, words.noCityCure, language);
  const broker = await asked(options.broker, words.askBroker);
  if (broker === undefined) {
    const { user, ca, cert, key } = options;
    const [lost] = Object.entries({ user, ca, cert, key }).find(([, value]) => value !== undefined) ?? [];
    if (lost !== undefined) throw usageError(words.noBroker(`--${lost}`), words.noBrokerCure, language);
    return { id, name, city, broker, user: undefined, password: undefined };
  }
  // Who has named all that cannot be left out is not asked for a login.
  const isAsked = options.broker === undefined;
  const user = isAsked ? await asked(options.user, words.askUser) : options.user;
  if (user === undefined) return { id, name, city, broker, user, password: undefined };
  const password = await givenPassword(words.passwordFor(user), options);
  if (password === "") throw usageError(words.noPassword, words.noPasswordCure, language);
  return { id, name, city, broker, user, password };
}

/** A text as YAML takes it, whatever stands in it. */
const quoted = (text: string): string => JSON.stringify(text);

function uplinkLines({ broker, user }: Answers, file: string, options: InitOptions, words: Words): string[] {
  if (broker === undefined)
    return [
      `# ${words.uplinks}`,
      "# uplinks:",
      "#   - id: ioc",
      "#     type: mqtt",
      "#     url: mqtts://ioc.example:8883",
    ];
  const { ca, cert, key, insecure } = options;
  const tls = Object.entries({ ca, cert, key })
    // A name that is typed is meant from where one stands; in the file it is meant from the file.
    .flatMap(([name, path]) =>
      path === undefined ? [] : [`${name}: ${quoted(relative(dirname(file), resolve(path)))}`],
    );
  return [
    "uplinks:",
    "  - id: ioc",
    "    type: mqtt",
    `    url: ${quoted(broker)}`,
    ...(insecure === true ? [`    insecure: acknowledged   # ${words.insecure}`] : []),
    ...(user === undefined
      ? []
      : [`    username: ${quoted(user)}`, `    password: \${secret:${secretName}}`]),
    ...(tls.length === 0 ? [] : [`    tls: { ${tls.join(", ")} }`]),
  ];
}

function siteText(answered: Answers, file: string, options: InitOptions, words: Words): string {
  const { id, name, city } = answered;
  // Beside the file, so that a trial leaves nothing elsewhere and two boxes never share an outbox.
  const own = basename(file) === localSite ? "state" : `state-${id}`;
  const state = file === systemSite ? "/var/lib/kerb" : own;
  const lines: [text: string, comment: string][] = [
    [`  id: ${quoted(id)}`, words.id],
    [`  name: ${quoted(name)}`, ""],
    [`  city: ${quoted(city)}`, words.city],
    [`  state: ${state}`, words.state],
  ];
  const width = Math.max(...lines.map(([text]) => text.length));
  return [
    `# ${words.head}`,
    `# ${words.headCheck}`,
    "version: 1",
    "",
    "gateway:",
    ...lines.map(([text, comment]) => (comment === "" ? text : `${text.padEnd(width)}   # ${comment}`)),
    "",
    ...uplinkLines(answered, file, options, words),
    "",
    `include: [devices.d/*.yaml]   # ${words.include}`,
    "",
  ].join("\n");
}

/** What to type next. Without an entry in KERB_SITE a verb would look elsewhere for a file with a name of its own. */
function nextLines(file: string, hasBroker: boolean, words: Words): string[] {
  const isFound = usualSite() === file;
  const steps: [command: string, what: string][] = [
    ...(isFound ? [] : [[`export KERB_SITE=${typed(file)}`, words.export] as [string, string]]),
    ["kerb discover", words.discover],
    ["kerb device add 1", words.add],
    ["kerb run", words.run],
    ...(hasBroker ? [["kerb upstream test", words.test] as [string, string]] : []),
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  return [words.next, ...steps.map(([command, what]) => `  ${pad(command, width)}   ${what}`)];
}

function tell(
  file: string,
  { id, broker }: Answers,
  secret: string | undefined,
  isJson: boolean,
  words: Words,
): void {
  if (isJson) {
    printData("init", { file, gateway: id, broker: broker ?? null });
    return;
  }
  const shown = shownFile(file);
  printLines([words.wrote(shown, id)]);
  hint(broker === undefined ? words.noBrokerYet(shown) : words.broker(broker));
  if (secret !== undefined) hint(words.secret(shownFile(secret)));
  for (const line of nextLines(file, broker !== undefined, words)) hint(line);
}

/** `kerb init [FILE]`: a site file to begin with. It never writes over one, and writes none that would be wrong. */
export async function init(given: string | undefined, options: InitOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = initWords[language];
  const file = resolve(given ?? localSite);
  const taken = (): CommandError =>
    usageError(
      words.taken(shownFile(file)),
      words.takenCure(typed(shownFile(file)), siteFlag(given)),
      language,
    );
  if (existsSync(file)) throw taken();
  checkWritable(file, language);
  let answered: Answers;
  try {
    answered = await answers(options, words, language);
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error;
    hint(words.interrupted);
    return exitCodes.interrupted;
  }
  const text = siteText(answered, file, options, words);
  const secret = answered.password === undefined ? undefined : secretFile(file, secretName);
  if (secret !== undefined && existsSync(secret))
    throw usageError(words.secretTaken(shownFile(secret)), words.secretTakenCure, language);
  const makeFolder = () => mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  if (answered.password !== undefined) {
    makeFolder();
    writeSecret(file, secretName, answered.password);
  }
  try {
    await readSite(file, { files: new Map([[file, text]]) });
    makeFolder();
    writeFileSync(file, text, { flag: "wx", mode: 0o644 });
  } catch (error) {
    if (secret !== undefined) rmSync(secret, { force: true });
    if (error instanceof ConfigError && options.json !== true) hint(words.wrong);
    throw (error as NodeJS.ErrnoException).code === "EEXIST" ? taken() : error;
  }
  tell(file, answered, secret, options.json === true, words);
  return exitCodes.ok;
}
