import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { ucumOf } from "./units.ts";

interface Unit {
  namespaceUri: string;
  unitId: number;
  displayName: { text: string };
}
const inside = createRequire(createRequire(import.meta.url).resolve("node-opcua"));
const { standardUnits } = inside("node-opcua-data-access") as { standardUnits: Record<string, Unit> };
const unece = "http://www.opcfoundation.org/UA/units/un/cefact";

const plain = (text: string) =>
  text.replaceAll("²", "2").replaceAll("³", "3").replaceAll("µ", "u").replace("°C", "Cel");

describe("units", () => {
  test("of the library's own table mean what their display names say", () => {
    const known = Object.values(standardUnits).flatMap(({ namespaceUri, unitId, displayName: { text } }) => {
      const ucum = ucumOf(namespaceUri, unitId);
      return ucum === undefined ? [] : [{ text, ucum }];
    });
    const other: Record<string, string> = { "°": "deg", "°F": "[degF]", ppm: "[ppm]", byte: "By" };
    expect(known.length).toBeGreaterThan(25);
    for (const { text, ucum } of known) expect(ucum).toBe(other[text] ?? plain(text));
  });

  test("of other makers, without a number or with one from nowhere have no code", () => {
    expect(ucumOf(unece, 4_408_652)).toBe("Cel");
    expect(ucumOf("urn:own", 4_408_652)).toBeUndefined();
    for (const id of [-1, 0, Number.NaN, 2 ** 31, 1e300, null, "CEL", undefined])
      expect(ucumOf(unece, id), String(id)).toBeUndefined();
  });
});
