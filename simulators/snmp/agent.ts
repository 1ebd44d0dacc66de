import { BerError, empty, tags } from "./ber.ts";
import { Engine } from "./engine.ts";
import {
  communityMessage,
  errors,
  messageVersion,
  nothing,
  pduTypes,
  readCommunityMessage,
  writePdu,
  type Pdu,
  type Varbind,
} from "./message.ts";
import type { Mib } from "./mib.ts";

/** The largest datagram that an agent sends: what an Ethernet frame holds. */
const datagramBytesMax = 1472;
const repetitionsMax = 100;

export interface AgentOptions {
  /** The version of the settings: 0 = v1, 1 = v2c, 3. Others are not answered. */
  version: number;
  community: string;
  writeCommunity: string;
  /** The most varbinds that the device takes in one request. */
  varbindsMax: number;
  /** Told of each request that sets something. */
  wrote?: (what: string, isTaken: boolean) => void;
}

/** An SNMP agent without its socket: a datagram in, the answer out. */
export class Agent {
  readonly #mib: Mib;
  readonly #options: AgentOptions;
  readonly engine: Engine;

  constructor(mib: Mib, engine: Engine, options: AgentOptions) {
    this.#mib = mib;
    this.engine = engine;
    this.#options = options;
  }

  /** The answer; undefined where an agent is silent. Never throws. */
  answer(bytes: Buffer): { bytes: Buffer; isError: boolean } | undefined {
    try {
      const version = messageVersion(bytes);
      if (version !== this.#options.version) return undefined;
      return version === 3 ? this.#answerV3(bytes) : this.#answerCommunity(bytes, version);
    } catch (error) {
      if (error instanceof BerError || error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #answerV3(bytes: Buffer) {
    const opened = this.engine.open(bytes);
    if (opened === undefined) return undefined;
    if ("report" in opened) return { bytes: opened.report, isError: true };
    const pdu = this.#serve(opened.pdu, 3, true);
    if (pdu === undefined) return undefined;
    const sealed = this.engine.seal(opened, writePdu(pdu));
    return { bytes: sealed, isError: pdu.first !== 0 };
  }

  #answerCommunity(bytes: Buffer, version: number) {
    const { community, pdu } = readCommunityMessage(bytes);
    const { community: reads, writeCommunity: writes } = this.#options;
    if (community !== reads && community !== writes) return undefined;
    const answer = this.#serve(pdu, version, community === writes);
    if (answer === undefined) return undefined;
    return { bytes: communityMessage(version, community, writePdu(answer)), isError: answer.first !== 0 };
  }

  #serve(request: Pdu, version: number, mayWrite: boolean): Pdu | undefined {
    const refuse = (status: number, index = 0): Pdu => ({
      ...request,
      type: pduTypes.response,
      first: version === 0 ? asV1(status) : status,
      second: index,
    });
    if (request.varbinds.length > this.#options.varbindsMax)
      return { ...refuse(errors.tooBig), varbinds: version === 0 ? request.varbinds : [] };
    const answer = this.#run(request, version, mayWrite, refuse);
    if (request.type === pduTypes.set) {
      const what = request.varbinds.map(({ oid, value }) => `${oid} = ${Buffer.from(value).toString("hex")}`);
      this.#options.wrote?.(`set ${what.join(", ")}`, answer?.first === 0);
    }
    if (answer === undefined || answer.first !== 0) return answer;
    const length = writePdu(answer).length + 100;
    if (length <= datagramBytesMax) return answer;
    return { ...refuse(errors.tooBig), varbinds: version === 0 ? request.varbinds : [] };
  }

  #run(
    request: Pdu,
    version: number,
    mayWrite: boolean,
    refuse: (status: number, index?: number) => Pdu,
  ): Pdu | undefined {
    const { type, varbinds } = request;
    const good = (list: Varbind[]): Pdu => ({
      ...request,
      type: pduTypes.response,
      first: 0,
      second: 0,
      varbinds: list,
    });
    if (type === pduTypes.getBulk && version > 0) return good(this.#bulk(request));
    if (type === pduTypes.set) {
      if (!mayWrite) return refuse(errors.noAccess, 1);
      const [status, index] = this.#set(varbinds);
      return status === errors.none ? good([...varbinds]) : refuse(status, index);
    }
    if (type !== pduTypes.get && type !== pduTypes.getNext) return undefined;
    const found: Varbind[] = [];
    for (const [index, { oid }] of varbinds.entries()) {
      const one = type === pduTypes.get ? this.#get(oid) : this.#next(oid, version === 0);
      const isMissing = one.value[0]! >= tags.noSuchObject;
      const isUnknownToV1 = isMissing || one.value[0] === tags.counter64;
      if (version === 0 && isUnknownToV1) return refuse(errors.noSuchName, index + 1);
      found.push(one);
    }
    return good(found);
  }

  /** All or nothing (RFC 3416, 4.2.5): the error-status and -index. */
  #set(varbinds: readonly Varbind[]): [number, number] {
    const missing = varbinds.findIndex(({ oid }) => this.#mib.cell(oid)?.set === undefined);
    if (missing >= 0)
      return [this.#mib.has(varbinds[missing]!.oid) ? errors.notWritable : errors.noAccess, missing + 1];
    const before: Varbind[] = [];
    for (const [index, { oid, value }] of varbinds.entries()) {
      const old = this.#mib.get(oid);
      const status = this.#mib.set(oid, value);
      if (status !== errors.none) {
        const undone = before.toReversed().map((one) => this.#mib.set(one.oid, one.value));
        return undone.every((one) => one === errors.none) ? [status, index + 1] : [errors.undoFailed, 0];
      }
      if (old !== undefined) before.push({ oid, value: old });
    }
    return [errors.none, 0];
  }

  #get(oid: string): Varbind {
    const value = this.#mib.get(oid);
    if (value !== undefined) return { oid, value };
    return { oid, value: empty(this.#mib.hasSiblings(oid) ? tags.noSuchInstance : tags.noSuchObject) };
  }

  /** v1 does not know Counter64 and passes it over: RFC 3584, 4.2.2.1. */
  #next(oid: string, isV1 = false): Varbind {
    const next = this.#mib.next(oid);
    if (isV1 && next?.value[0] === tags.counter64) return this.#next(next.oid, isV1);
    return next ?? { oid, value: empty(tags.endOfMibView) };
  }

  #bulk({ first, second, varbinds }: Pdu): Varbind[] {
    const single = varbinds.slice(0, first).map(({ oid }) => this.#next(oid));
    let row: Varbind[] = varbinds.slice(first).map(({ oid }) => ({ oid, value: nothing() }));
    const found = [...single];
    const rows = Math.min(second, repetitionsMax);
    let bytesLeft = datagramBytesMax - 200;
    for (let index = 0; index < rows && row.length > 0; index++) {
      row = row.map(({ oid }) => this.#next(oid));
      bytesLeft -= row.reduce((sum, { oid, value }) => sum + oid.length + value.length, 0);
      if (bytesLeft < 0 && index > 0) break;
      found.push(...row);
      if (row.every(({ value }) => value[0] === tags.endOfMibView)) break;
    }
    return found;
  }
}

/** Error-status of v2 as v1 knows it: RFC 3584, 4.4. */
function asV1(status: number): number {
  if (status <= errors.genErr) return status;
  if (status === errors.undoFailed) return errors.genErr;
  const isBadValue = [errors.wrongType, errors.wrongLength, errors.wrongValue].some((one) => one === status);
  return isBadValue ? errors.badValue : errors.noSuchName;
}
