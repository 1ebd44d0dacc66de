import { BerError, inside, integer, items, octets, sequence, tags, toInteger, toOctets } from "./ber.ts";
import { pduTypes, readPdu, writePdu, type Pdu } from "./message.ts";
import { Keys, type User } from "./usm.ts";

/** The authoritative engine of an SNMPv3 agent: opens requests, seals answers, reports what it cannot take. */

const flagAuth = 1;
const flagPriv = 2;
const flagReportable = 4;
const windowSeconds = 150;
const stats = "1.3.6.1.6.3.15.1.1";

interface Header {
  id: number;
  flags: number;
  engineId: Buffer;
  boots: number;
  time: number;
  user: string;
}

export interface Opened {
  readonly header: Header;
  readonly contextName: string;
  readonly pdu: Pdu;
}

export class Engine {
  readonly id: Buffer;
  boots = 1;
  /** How far the engine's clock is off, s. */
  skewSeconds = 0;
  readonly #keys: Keys | undefined;
  #startedMs = performance.now();
  readonly #counts = new Map<number, number>();

  constructor(id: Buffer, user: User | undefined) {
    this.id = id;
    this.#keys = user === undefined ? undefined : new Keys(user, id);
  }

  get time(): number {
    return Math.max(0, Math.floor((performance.now() - this.#startedMs) / 1000) + this.skewSeconds + 100);
  }

  restart(): void {
    this.boots++;
    this.#startedMs = performance.now();
  }

  /** A request, or the report that answers it; undefined: nothing is answered. */
  open(bytes: Buffer): Opened | { report: Buffer } | undefined {
    const [, globalData, security, data] = inside(bytes, tags.sequence);
    if (globalData === undefined || security === undefined || data === undefined) throw new BerError("no v3");
    const [id, , flags] = items(globalData.body);
    const [engineId, boots, time, user, digest, salt] = inside(toOctets(security), tags.sequence);
    if (id === undefined || flags === undefined || salt === undefined) throw new BerError("no v3 header");
    const header: Header = {
      id: toInteger(id),
      flags: toOctets(flags)[0] ?? 0,
      engineId: toOctets(engineId!),
      boots: toInteger(boots!),
      time: toInteger(time!),
      user: toOctets(user!).toString(),
    };
    const report = (number: number, isSealed = false) => this.#report(header, number, isSealed);
    if (!header.engineId.equals(this.id)) return report(4);
    const keys = this.#keys;
    if (keys === undefined || header.user !== keys.user.name) return report(3);
    const wanted = (keys.user.auth ? flagAuth : 0) | (keys.user.priv ? flagPriv : 0);
    if ((header.flags & wanted) !== wanted || (header.flags & 3 & ~wanted) !== 0) return report(1);
    if (keys.user.auth !== undefined) {
      const found = toOctets(digest!);
      if (found.length !== keys.digestBytes) return report(5);
      const blank = Buffer.from(bytes);
      const at = found.byteOffset - bytes.byteOffset;
      blank.fill(0, at, at + found.length);
      if (!keys.digest(blank).equals(found)) return report(5);
      if (header.boots !== this.boots || Math.abs(header.time - this.time) > windowSeconds)
        return report(2, true);
    }
    try {
      const scoped =
        keys.user.priv === undefined
          ? items(data.body)
          : inside(keys.decrypt(toOctets(data), header.boots, header.time, toOctets(salt)), tags.sequence);
      const [, contextName, pdu] = scoped;
      if (contextName === undefined || pdu === undefined) throw new BerError("no scoped PDU");
      return { header, contextName: toOctets(contextName).toString(), pdu: readPdu(pdu.tag, pdu.body) };
    } catch (error) {
      if (keys.user.priv !== undefined && error instanceof BerError) return report(6);
      throw error;
    }
  }

  seal({ header, contextName }: Opened, pdu: Buffer): Buffer {
    return this.#message(header.id, header.flags & (flagAuth | flagPriv), contextName, pdu);
  }

  /** A notification, of which the sender is the authority. */
  sealTrap(pdu: Buffer): Buffer {
    const { auth, priv } = this.#keys?.user ?? {};
    const flags = (auth === undefined ? 0 : flagAuth) | (priv === undefined ? 0 : flagPriv);
    return this.#message(Math.floor(Math.random() * 0x7fffffff), flags, "", pdu);
  }

  #report(header: Header, number: number, isSealed: boolean): { report: Buffer } | undefined {
    const count = (this.#counts.get(number) ?? 0) + 1;
    this.#counts.set(number, count);
    if ((header.flags & flagReportable) === 0) return undefined;
    const varbind = { oid: `${stats}.${number}.0`, value: integer(count, tags.counter) };
    const pdu = writePdu({ type: pduTypes.report, id: 0, first: 0, second: 0, varbinds: [varbind] });
    return { report: this.#message(header.id, isSealed ? flagAuth : 0, "", pdu, !isSealed) };
  }

  #message(id: number, flags: number, contextName: string, pdu: Buffer, isAnonymous = false): Buffer {
    const keys = this.#keys;
    const { boots, time } = this;
    const scoped = sequence([octets(this.id), octets(contextName), pdu]);
    const hasPriv = (flags & flagPriv) !== 0;
    const sealed = hasPriv ? keys!.encrypt(scoped, boots, time) : undefined;
    const digest = Buffer.alloc((flags & flagAuth) === 0 ? 0 : keys!.digestBytes);
    const build = (): Buffer =>
      sequence([
        integer(3),
        sequence([integer(id), integer(65_507), octets(Buffer.from([flags])), integer(3)]),
        octets(
          sequence([
            octets(this.id),
            integer(boots),
            integer(time),
            octets(isAnonymous ? "" : (keys?.user.name ?? "")),
            octets(digest),
            octets(sealed?.salt ?? ""),
          ]),
        ),
        sealed === undefined ? scoped : octets(sealed.cipher),
      ]);
    if (digest.length > 0) keys!.digest(build()).copy(digest);
    return build();
  }
}
