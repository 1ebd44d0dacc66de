import { DeviceError, type Identity } from "../../gateway/driver.ts";
import { Batch, Request } from "./batch.ts";
import { exceptionName, identificationFunction } from "./codec.ts";
import { printable } from "./decode.ts";
import { lost, type Link } from "./link.ts";

const objectNames = [
  "VendorName",
  "ProductCode",
  "MajorMinorRevision",
  "VendorUrl",
  "ProductName",
  "ModelName",
  "UserApplicationName",
];

const basic = 1;
const regular = 2;
const packetsMax = 16;

/** One packet of device identification. */
interface Packet {
  conformity: number;
  /** undefined = nothing follows. */
  nextObject: number | undefined;
}

/**
 * Asks function 43/14 (Application Protocol 1.1b3, 6.21) for the basic objects, and for the regular ones if the
 * device has them. Rejects with `unsupported`, `silent`, `busy`, `garbage`, or as the link does.
 */
export async function identify(
  link: Link,
  unit: number,
  place: string,
  signal: AbortSignal,
): Promise<Identity> {
  const objects = new Map<number, string>();
  const conformity = await readCategory(basic);
  if ((conformity & 0x7f) >= regular) {
    try {
      await readCategory(regular);
    } catch (error) {
      // The basic objects stand; only a device that is gone matters.
      if (!(error instanceof DeviceError) || !["unsupported", "busy", "silent"].includes(error.code))
        throw error;
    }
  }
  return identityOf(objects);

  async function readCategory(category: number): Promise<number> {
    let conformityLevel = 0;
    let object: number | undefined = 0;
    for (let packets = 0; object !== undefined && packets < packetsMax; packets++) {
      const packet = await readPacket(category, object);
      conformityLevel = packet.conformity;
      // A device that goes back would keep us asking for ever.
      object = packet.nextObject !== undefined && packet.nextObject > object ? packet.nextObject : undefined;
    }
    return conformityLevel;
  }

  async function readPacket(category: number, object: number): Promise<Packet> {
    let packet: Packet | undefined;
    const request = new Request(
      Uint8Array.of(identificationFunction, 14, category, object),
      "identify (function 43)",
      undefined,
    );
    const batch = new Batch([request], link.framing, unit, (_, bytes, at, length) => {
      packet = parsePacket(bytes.subarray(at, at + length), objects);
    });
    await link.run(batch, signal);
    if (request.state === "lost") throw lost(place, request);
    if (request.state === "refused") {
      const code = request.exception === 11 ? "silent" : request.exception === 6 ? "busy" : "unsupported";
      throw new DeviceError(code, `${place}: ${request.text}: ${exceptionName(request.exception)}`);
    }
    if (packet === undefined)
      throw new DeviceError("garbage", `${place}: the answer to ${request.text} is malformed`);
    return packet;
  }
}

/** Reads `2B 0E category conformity more next count (id length text)*`; undefined = it is not that. */
function parsePacket(pdu: Uint8Array, objects: Map<number, string>): Packet | undefined {
  if (pdu.length < 7 || pdu[1] !== 14) return undefined;
  let at = 7;
  for (let left = pdu[6]!; left > 0; left--) {
    const end = at + 2 + (pdu[at + 1] ?? Number.NaN);
    if (!(end <= pdu.length)) return undefined;
    objects.set(pdu[at]!, printable(pdu, at + 2, end - at - 2));
    at = end;
  }
  return { conformity: pdu[3]!, nextObject: pdu[4] === 0xff ? pdu[5] : undefined };
}

function identityOf(objects: Map<number, string>): Identity {
  const named = (id: number) => objects.get(id) || undefined;
  const modelObject = [4, 5, 1].find((id) => named(id) !== undefined);
  const vendor = named(0);
  const model = modelObject === undefined ? undefined : named(modelObject);
  const firmware = named(2);
  const more: Record<string, string> = {};
  for (const [id, name] of objectNames.entries()) {
    const value = named(id);
    if (value !== undefined && id !== 0 && id !== 2 && id !== modelObject) more[name] = value;
  }
  return {
    ...(vendor !== undefined && { vendor }),
    ...(model !== undefined && { model }),
    ...(firmware !== undefined && { firmware }),
    ...(Object.keys(more).length > 0 && { more }),
  };
}
