import { DeviceError, socketErrorCode, type DeviceErrorCode } from "../../gateway/driver.ts";
import { dropOldest } from "./remember.ts";

/** A broker that did not let us in is not asked again within this time, however many devices it has. */
const holdMs = 1000;
const deniedHoldMs = 10_000;
const remembered = 100;

type Coded = Error & { code?: unknown; errors?: Coded[] };

/** CONNACK reason codes of MQTT 5; 3.1.1 counts from 1 to 5. */
const connackCodes: Readonly<Record<number, DeviceErrorCode>> = {
  1: "unsupported",
  2: "rejected",
  3: "refused",
  4: "denied",
  5: "denied",
  0x84: "unsupported",
  0x85: "rejected",
  0x86: "denied",
  0x87: "denied",
  0x88: "refused",
  0x89: "busy",
  0x8a: "denied",
  0x8c: "denied",
  0x97: "busy",
  0x9f: "busy",
};

function codeOf(error: Coded): string | undefined {
  const code = error.code ?? error.errors?.[0]?.code;
  return typeof code === "string" ? code : undefined;
}

/** One line; OpenSSL wraps an alert into its own file and line. */
function sentence(error: Coded): string {
  const [, alert] = /\balert ([a-z ]+?)(?::|$)/i.exec(error.message) ?? [];
  if (alert !== undefined) return `the broker ended the TLS handshake: ${alert.toLowerCase()} (see tls)`;
  const text = error.message || error.errors?.[0]?.message || (codeOf(error) ?? error.name);
  return text.replaceAll(/\s+/g, " ").trim().slice(0, 300);
}

/** Why no connection came about: `refused`, `silent` or `unreachable`. */
export function unreachable(place: string, error: Error): DeviceError {
  const code = socketErrorCode(error) ?? "unreachable";
  return new DeviceError(code, `${place}: ${sentence(error)}`, { cause: error });
}

/** What an error of socket, TLS or MQTT tells of the broker. */
export function meaningOf(place: string, error: Coded, wasOpen: boolean): DeviceError {
  const made = (code: DeviceErrorCode) =>
    new DeviceError(code, `${place}: ${sentence(error)}`, { cause: error });
  if (typeof error.code === "number") return made(connackCodes[error.code] ?? "refused");
  if (/keepalive timeout/i.test(error.message))
    return new DeviceError("silent", `${place}: the broker does not answer pings`, { cause: error });
  const known = socketErrorCode(error);
  if (known !== undefined) return made(known);
  const code = codeOf(error);
  // Certificates and alerts of TLS come with codes of OpenSSL or of Node's own check.
  if (
    !wasOpen &&
    code !== undefined &&
    /^(ERR_(SSL|TLS|OSSL)|CERT|UNABLE|DEPTH|SELF_SIGNED|HOSTNAME)/.test(code)
  )
    return made("denied");
  const heard = error.message.includes("MQTT") ? "" : "not MQTT: ";
  return new DeviceError("garbage", `${place}: ${heard}${sentence(error)}`, { cause: error });
}

const refusals = new Map<string, { atMs: number; error: DeviceError }>();

export function forgetRefusal(key: string): void {
  refusals.delete(key);
}

export function remember(key: string, error: DeviceError): void {
  refusals.delete(key);
  refusals.set(key, { atMs: performance.now(), error });
  dropOldest(refusals, remembered);
}

/** A broker that has just refused is not asked again at once. */
export function throwIfRefused(key: string): void {
  const last = refusals.get(key);
  if (last === undefined) return;
  const forMs = last.error.code === "denied" ? deniedHoldMs : holdMs;
  if (performance.now() - last.atMs >= forMs) refusals.delete(key);
  else throw new DeviceError(last.error.code, last.error.message, { cause: last.error });
}

/** Why a session ended, for what was being published then: whoever is turned away may have been heard before. */
export function onItsWay(error: unknown): unknown {
  const isNo =
    error instanceof DeviceError &&
    ["busy", "denied", "refused", "rejected", "unsupported"].includes(error.code);
  return isNo ? new DeviceError("hung-up", error.message, { cause: error }) : error;
}
