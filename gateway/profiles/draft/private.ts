/** What of a device tells which unit it is, or opens it: no draft may hold that. */

/** What devices call that by which one is told from all others, or by which people get at it or at its owner. */
const unitNames =
  /serial|imei|imsi|iccid|msisdn|meid|uuid|guid|passw|passcode|passphrase|secret|token|phone|subscriber|\b(s\/?n|mac( ?(addr\w*|id))?|bssid|pass|pwd|pin|puk|psk|otp|tel|(api|wifi|wpa|access|shared) ?key)\b|\b(device|unit|asset|user|owner|customer|account|meter|contract) ?(id|no|nr|number)\b/;

/** "modem_simImei" as "modem sim imei". */
const spaced = (name: string): string =>
  name
    .replaceAll(/(\p{Ll}|\d)(\p{Lu})/gu, "$1 $2")
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2")
    .replaceAll(/[^\p{L}\d]+/gu, " ")
    .toLowerCase();

/** Is a thing called so likely to be a unit's own number, a secret or a person's? */
export function isPrivateName(name: string): boolean {
  return unitNames.test(spaced(name)) || unitNames.test(name.toLowerCase());
}

/** The first member of a query that looks like a secret: "token" of "/api?token=x"; undefined: none. */
export function secretOf(path: string): string | undefined {
  const at = path.indexOf("?");
  if (at < 0) return undefined;
  const names = [...new URLSearchParams(path.slice(at + 1)).keys()];
  return names.find((name) => isPrivateName(name) || /auth|key|session|sig|login|user/i.test(name));
}

const lettersMin = 6;

/** Puts an x for each letter and digit of a serial number, however it is written; one too short to be one stays. */
export function veiled(text: string, serial = ""): string {
  const words = serial.match(/[\p{L}\d]+/gu) ?? [];
  const digits = serial.replaceAll(/\D/g, "");
  if (digits === "" || words.join("").length < lettersMin) return text;
  const ways = [words.join("[^\\p{L}\\d\\n]{0,3}"), ...(digits.length < lettersMin ? [] : [digits])];
  return ways.reduce(
    (left, way) =>
      left.replaceAll(new RegExp(`(?<!\\d(?=\\d))${way}(?!(?<=\\d)\\d)`, "giu"), (found) =>
        found.replaceAll(/[\p{L}\d]/gu, "x"),
      ),
    text,
  );
}
