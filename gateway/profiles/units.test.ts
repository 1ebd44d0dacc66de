import { ucum } from "@atomic-ehr/ucum";
import { describe, expect, it } from "vitest";
import { unitProblem, units } from "./units.ts";

describe("units", () => {
  it.each([...units])("%s is UCUM to an independent reader of it", (unit) => {
    expect(ucum.validate(unit)).toMatchObject({ valid: true });
  });

  it.each([
    ["V.A{reactive}", "V.A"],
    ["kV.A{reactive}", "kV.A"],
    ["ug/m3{N}", "ug/m3"],
    ["dB{mW}", "dB"],
    ["mm[Hg]", "Pa"],
    ["[degF]", "Cel"],
  ])("%s measures the same as %s", (annotated, plain) => {
    expect(ucum.isConvertible(annotated, plain)).toBe(true);
  });

  it.each(["var", "kvar", "Wh", "varh", "ug/Nm3", "dBm", "dB(A)"])("%s is refused", (spelling) => {
    expect(ucum.validate(spelling)).toMatchObject({ valid: false });
    expect(unitProblem(spelling)).toBeDefined();
  });
});
