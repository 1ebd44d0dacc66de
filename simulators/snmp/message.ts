import {
  BerError,
  empty,
  inside,
  integer,
  items,
  octets,
  oid,
  sequence,
  tags,
  toInteger,
  toOctets,
  toOid,
} from "./ber.ts";

/** PDUs of SNMP v1, v2c and v3 (RFC 1157, 3416). */

export const pduTypes = {
  get: 0xa0,
  getNext: 0xa1,
  response: 0xa2,
  set: 0xa3,
  trapV1: 0xa4,
  getBulk: 0xa5,
  inform: 0xa6,
  trap: 0xa7,
  report: 0xa8,
} as const;

/** Names of error-status 0 … 18, RFC 3416. */
export const errors = {
  none: 0,
  tooBig: 1,
  noSuchName: 2,
  badValue: 3,
  readOnly: 4,
  genErr: 5,
  noAccess: 6,
  wrongType: 7,
  wrongLength: 8,
  wrongValue: 10,
  undoFailed: 15,
  authorizationError: 16,
  notWritable: 17,
} as const;

export interface Varbind {
  readonly oid: string;
  /** Tag and content, whole. */
  readonly value: Buffer;
}

export interface Pdu {
  readonly type: number;
  readonly id: number;
  /** Error-status, or non-repeaters of a GETBULK. */
  readonly first: number;
  /** Error-index, or max-repetitions of a GETBULK. */
  readonly second: number;
  readonly varbinds: readonly Varbind[];
}

export function readPdu(tag: number, body: Buffer): Pdu {
  const [id, first, second, list] = items(body);
  if (id === undefined || first === undefined || second === undefined || list?.tag !== tags.sequence)
    throw new BerError("no PDU");
  const varbinds = items(list.body).map((item): Varbind => {
    if (item.tag !== tags.sequence) throw new BerError("no varbind");
    const [name, value] = items(item.body);
    if (name === undefined || value === undefined) throw new BerError("half a varbind");
    return { oid: toOid(name), value: sequence([value.body], value.tag) };
  });
  return { type: tag, id: toInteger(id), first: toInteger(first), second: toInteger(second), varbinds };
}

function varbindList(varbinds: readonly Varbind[]): Buffer {
  return sequence(varbinds.map(({ oid: name, value }) => sequence([oid(name), value])));
}

export function writePdu({ type, id, first, second, varbinds }: Pdu): Buffer {
  return sequence([integer(id), integer(first), integer(second), varbindList(varbinds)], type);
}

/** A v1 trap, RFC 1157 4.1.6. */
export function writeTrapV1(trap: {
  enterprise: string;
  agent: string;
  generic: number;
  specific: number;
  ticks: number;
  varbinds: readonly Varbind[];
}): Buffer {
  return sequence(
    [
      oid(trap.enterprise),
      sequence([Buffer.from(trap.agent.split(".").map(Number))], tags.ip),
      integer(trap.generic),
      integer(trap.specific),
      integer(trap.ticks, tags.ticks),
      varbindList(trap.varbinds),
    ],
    pduTypes.trapV1,
  );
}

/** A message of v1 (0) or v2c (1). */
export function communityMessage(version: number, community: string, pdu: Buffer): Buffer {
  return sequence([integer(version), octets(community), pdu]);
}

export interface CommunityMessage {
  version: number;
  community: string;
  pdu: Pdu;
}

export function messageVersion(bytes: Buffer): number {
  const [version] = inside(bytes, tags.sequence);
  if (version === undefined) throw new BerError("no version");
  return toInteger(version);
}

export function readCommunityMessage(bytes: Buffer): CommunityMessage {
  const [version, community, pdu] = inside(bytes, tags.sequence);
  if (version === undefined || community === undefined || pdu === undefined) throw new BerError("no message");
  return {
    version: toInteger(version),
    community: toOctets(community).toString(),
    pdu: readPdu(pdu.tag, pdu.body),
  };
}

export const nothing = (): Buffer => empty(tags.null);
