import { expect, test } from "vitest";
import { codeHash } from "../../gateway/profiles/driver-stage.ts";
import { proofComplaint, type Score } from "./proof.ts";

const score: Score = { planned: 9, tried: 9, passed: 9, skipped: [] };
const proof = { proved: "2026-11-22", passed: 9, planned: 9, skipped: [], code: codeHash("modbus") };

test("a proof that says what the suite found is accepted", () => {
  expect(proofComplaint("modbus", score, proof)).toBeUndefined();
  // A machine without the foreign programs cannot say how many pass.
  expect(
    proofComplaint("modbus", { ...score, passed: 6, skipped: ["rtu: no socat"] }, proof),
  ).toBeUndefined();
});

test("any other is not, and the message names the cure", () => {
  const cure = expect.stringContaining('run "npm run prove"') as string;
  expect(proofComplaint("modbus", { ...score, passed: 8 }, proof)).toEqual(cure);
  expect(proofComplaint("modbus", { ...score, planned: 10, passed: 10 }, proof)).toEqual(cure);
  expect(proofComplaint("modbus", score, { ...proof, passed: 8 })).toEqual(cure);
  expect(proofComplaint("modbus", score, { ...proof, code: "0" })).toEqual(cure);
  expect(proofComplaint("no-such-driver", score)).toEqual(cure);
});
