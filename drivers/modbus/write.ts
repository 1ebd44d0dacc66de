import { DeviceError, type PointRequest, type Value } from "../../gateway/driver.ts";
import { Request } from "./batch.ts";
import { exceptionName } from "./codec.ts";
import { widthOf } from "./decode.ts";
import { bitOf, encode } from "./encode.ts";
import type { Address, Settings } from "./settings.ts";

/** Function codes that write (Application Protocol 1.1b3, 6.5, 6.6, 6.11, 6.12, 6.16). */
const coilFunction = 5;
const registerFunction = 6;
const coilsFunction = 15;
const registersFunction = 16;
const maskFunction = 22;
const registersMax = 123;
/** Exceptions that do not say no: it is under way, or nobody knows whether it has arrived. */
const acknowledged = 5;
const targetSilent = 11;
/** It broke off in the middle (Modbus Application Protocol 1.1b3, 7): what it had done by then it does not say. */
const deviceFailure = 4;

type Limits = Pick<Settings, "functions" | "order" | "evenCount">;

/**
 * The one request that writes a value. Throws `DeviceError`: "unsupported" where the device has no function for it,
 * "rejected" where the registers cannot hold the value exactly. Nothing has been sent then.
 */
export function writeRequest(
  { name, address }: PointRequest<Address>,
  value: Value,
  { functions, order, evenCount }: Limits,
  place: string,
): Request {
  const { table, register, type } = address;
  const unsupported = (why: string) => new DeviceError("unsupported", `${place}: ${name}: ${why}`);
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
  const unfit = () => new DeviceError("rejected", `${place}: ${name}: ${shown} is no ${type}`);
  const allowed = (...codes: (typeof functions)[number][]) => codes.find((code) => functions.includes(code));
  const what = `write ${table} ${register}`;
  if (table === "input" || table === "discrete") throw unsupported(`a table of ${table}s is only read`);
  if (table === "coil" || type === "bool") {
    const bit = bitOf(value);
    const code = table === "coil" ? allowed(coilFunction, coilsFunction) : allowed(maskFunction);
    if (code === undefined)
      throw unsupported(
        table === "coil"
          ? "function 5 or 15 is not among the functions of the settings"
          : "one bit of a register is written by function 22, which is not among the functions of the settings",
      );
    if (bit === undefined) throw unfit();
    return new Request(bitPdu(code, address, bit), what, undefined, echoOf);
  }
  const count = widthOf(address);
  const code = count === 1 ? allowed(registerFunction, registersFunction) : allowed(registersFunction);
  if (code === undefined)
    throw unsupported(
      `function ${count === 1 ? "6 or 16" : "16"} is not among the functions of the settings`,
    );
  if (count > registersMax) throw unsupported(`${count} registers are more than one request writes`);
  if (code === registersFunction && evenCount && (register % 2 !== 0 || count % 2 !== 0))
    throw unsupported("the settings say evenCount, and it begins or ends at an odd register");
  const bytes = encode(address, value, order);
  if (bytes === undefined) throw unfit();
  return new Request(registersPdu(code, register, bytes), what, undefined, echoOf);
}

/** What the device answers when it has done it: the request, of 15 and 16 its head. */
function echoOf(pdu: Uint8Array): Uint8Array {
  return pdu[0] === coilsFunction || pdu[0] === registersFunction ? pdu.subarray(0, 5) : pdu;
}

function bitPdu(code: number, { register, bit: position = 0 }: Address, bit: boolean): Uint8Array {
  const head = [code, register >> 8, register & 0xff];
  if (code === coilFunction) return Uint8Array.of(...head, bit ? 0xff : 0, 0);
  if (code === coilsFunction) return Uint8Array.of(...head, 0, 1, 1, bit ? 1 : 0);
  const mask = 1 << position;
  // What stands in the register AND these, OR those: every other bit stays as it is then, whoever changes it.
  const [and, or] = [~mask & 0xffff, bit ? mask : 0];
  return Uint8Array.of(...head, and >> 8, and & 0xff, or >> 8, or & 0xff);
}

function registersPdu(code: number, register: number, bytes: Uint8Array): Uint8Array {
  const head = [code, register >> 8, register & 0xff];
  if (code === registerFunction) return Uint8Array.of(...head, ...bytes);
  return Uint8Array.of(...head, 0, bytes.length / 2, bytes.length, ...bytes);
}

/** Why a write that was answered by an exception is none; undefined where the device has taken it. */
export function writeRefusal({ exception, text }: Request, place: string): DeviceError | undefined {
  if (exception === acknowledged) return undefined;
  const why = `${place}: ${text}: modbus-${exception}, ${exceptionName(exception)}`;
  if (exception === deviceFailure) return new DeviceError("garbage", why);
  return new DeviceError(exception === targetSilent ? "silent" : "rejected", why);
}
