import type { KeyObject } from "node:crypto";
import type { Language } from "../../config/error-texts.ts";
import { issuerKeyOf } from "../../receiver/commands/make.ts";
import type { IssuerLinkOptions } from "../../receiver/issuer-link.ts";
import { commandWords } from "./command-words.ts";
import { usageError } from "../errors.ts";
import { readGiven } from "../files.ts";
import { hint } from "../output.ts";

/** What the verbs share that order and configure as an IOC does. */

/** How its broker is reached. */
export interface BrokerOptions {
  broker?: string;
  city?: string;
  protocol?: "5" | "3.1.1";
  ca?: string;
  cert?: string;
  tlsKey?: string;
  username?: string;
  password?: string;
}

/** The options of these names. Throws `CommandError` where one is missing; `verb` shows how it is written. */
export function needed<Name extends string>(
  options: Partial<Record<Name, string>>,
  names: readonly Name[],
  verb: string,
  language: Language,
): Record<Name, string> {
  const text = commandWords[language];
  for (const name of names)
    if (options[name] === undefined) throw usageError(text.missing(name), text.missingCure(verb), language);
  return options as Record<Name, string>;
}

/** Throws `CommandError` where it is no broker, or a file of its options cannot be read. */
export function linkOptions(options: BrokerOptions, verb: string, language: Language): IssuerLinkOptions {
  const { broker, city } = needed(options, ["broker", "city"], verb, language);
  const { protocol, username, password, ca, cert, tlsKey: key } = options;
  const text = commandWords[language];
  if (!/^mqtts?:\/\/[^/]+/.test(broker)) throw usageError(text.noBroker(broker), text.noBrokerCure, language);
  for (const file of [ca, cert, key]) if (file !== undefined) readGiven(file, language);
  return {
    broker,
    city,
    protocol: protocol === "3.1.1" ? protocol : 5,
    username,
    password,
    tls: { ca, cert, key },
    log: hint,
  };
}

/** The issuer's private key. Throws `CommandError`. */
export function keyFrom(file: string, language: Language): KeyObject {
  const pem = readGiven(file, language);
  try {
    return issuerKeyOf(pem);
  } catch (error) {
    const text = commandWords[language];
    throw usageError(text.noKey(file, (error as Error).message), text.noKeyCure(file), language);
  }
}
