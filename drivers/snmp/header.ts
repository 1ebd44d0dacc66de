/**
 * Looks at the outside of an SNMP message before net-snmp opens it: what an SNMPv3 message claims about itself, so
 * that an unprotected answer is never taken for a protected one, and a stranger's message costs no key.
 */

export interface Header {
  readonly version: number;
  /** v1 and v2c. */
  readonly community?: string;
  /** v3. */
  readonly flags: number;
  readonly engineId: string;
  readonly boots: number;
  readonly time: number;
  readonly user: string;
  /** The type of the PDU where it is not encrypted. */
  readonly pduType: number | undefined;
}

const flagPriv = 2;

/** One item's content and where the next begins; undefined when it does not fit. */
function item(bytes: Buffer, at: number): { tag: number; start: number; end: number } | undefined {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const count = first < 0x80 ? 0 : first & 0x7f;
  if (count > 4 || first === 0x80 || at + 2 + count > bytes.length) return undefined;
  const start = at + 2 + count;
  const end = start + (count === 0 ? first : bytes.readUIntBE(at + 2, count));
  return end > bytes.length ? undefined : { tag, start, end };
}

/** The contents of consecutive items with these tags. */
function contents(bytes: Buffer, from: number, tags: readonly number[]): Buffer[] | undefined {
  const found: Buffer[] = [];
  let at = from;
  for (const tag of tags) {
    const one = item(bytes, at);
    if (one === undefined || one.tag !== tag) return undefined;
    found.push(bytes.subarray(one.start, one.end));
    at = one.end;
  }
  return found;
}

const [INTEGER, OCTETS, SEQUENCE] = [0x02, 0x04, 0x30];

const numberOf = (bytes: Buffer | undefined): number =>
  bytes === undefined || bytes.length === 0 || bytes.length > 6 ? -1 : bytes.readIntBE(0, bytes.length);

/** What a message says of itself; undefined for what is no SNMP message. Never throws. */
export function readHeader(bytes: Buffer): Header | undefined {
  const whole = item(bytes, 0);
  if (whole?.tag !== SEQUENCE) return undefined;
  const body = bytes.subarray(whole.start, whole.end);
  const [versionBytes] = contents(body, 0, [INTEGER]) ?? [];
  const version = numberOf(versionBytes);
  const none = { flags: 0, engineId: "", boots: 0, time: 0, user: "" };
  if (version === 0 || version === 1) {
    const [, community] = contents(body, 0, [INTEGER, OCTETS]) ?? [];
    if (community === undefined) return undefined;
    const pdu = item(body, community.byteOffset - body.byteOffset + community.length);
    return { version, community: community.toString(), ...none, pduType: pdu?.tag };
  }
  const [, globalData, security] = contents(body, 0, [INTEGER, SEQUENCE, OCTETS]) ?? [];
  if (version !== 3 || globalData === undefined || security === undefined) return undefined;
  const [, , flags] = contents(globalData, 0, [INTEGER, INTEGER, OCTETS]) ?? [];
  const parameters = item(security, 0);
  if (flags?.length !== 1 || parameters?.tag !== SEQUENCE) return undefined;
  const fields = contents(security, parameters.start, [OCTETS, INTEGER, INTEGER, OCTETS, OCTETS, OCTETS]);
  const [engineId, boots, time, user] = fields ?? [];
  if (engineId === undefined || user === undefined) return undefined;
  return {
    version,
    flags: flags[0] ?? 0,
    engineId: engineId.toString("hex"),
    boots: numberOf(boots),
    time: numberOf(time),
    user: user.toString(),
    pduType:
      ((flags[0] ?? 0) & flagPriv) === 0
        ? pduTypeIn(body, security.byteOffset - body.byteOffset + security.length)
        : undefined,
  };
}

/** The type of the PDU in a plain ScopedPDU that begins here. */
function pduTypeIn(body: Buffer, at: number): number | undefined {
  const scoped = item(body, at);
  if (scoped?.tag !== SEQUENCE) return undefined;
  const [, context] = contents(body, scoped.start, [OCTETS, OCTETS]) ?? [];
  if (context === undefined) return undefined;
  return item(body, context.byteOffset - body.byteOffset + context.length)?.tag;
}
