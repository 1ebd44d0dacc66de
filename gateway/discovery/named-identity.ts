import type { Language } from "../config/error-texts.ts";
import type { Identity } from "../driver.ts";
import { printable } from "../printable.ts";
import { words } from "../words.ts";

/** What stands before a serial number. */
export const serialWords = words({ en: { serial: "serial" }, vi: { serial: "số sê-ri" } });

/** "Schreder CAB-M4 firmware 2.1.8 serial A0042", safe for a terminal; "" when nothing is known. */
export function namedIdentity(
  { vendor, model, firmware, serial }: Omit<Identity, "more">,
  language: Language,
): string {
  const parts = [
    vendor,
    model,
    firmware && `firmware ${firmware}`,
    serial && `${serialWords[language].serial} ${serial}`,
  ];
  return printable(parts.filter((part) => part !== undefined && part !== "").join(" "));
}
