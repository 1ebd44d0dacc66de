import { expect, test } from "vitest";
import { activationCode, crc16, messageCrc, swapped } from "./crc.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

test("the check sum of the standard's own example (NTCIP 1203 v03.05, 5.1)", () => {
  expect(messageCrc(Buffer.from("[jp3]TEST [fl]Flashing[/fl]"), 0, 0)).toBe(0x95f9);
});

test("the check sum that a real sign gave (captured session)", () => {
  expect(messageCrc(Buffer.from("[pt30o0][pb][cf][jp3][jl3][fo220,B62F]TEST"), 0, 0)).toBe(7439);
});

test("the font of the standard's example has CRC 52ED and so the version ID ED52 (5.4.2.7)", () => {
  const stream = hex("02 07 01 03 01 02 00 34 07 07 1C 59 34 6F E1 83 00 00 41 06 06 7B 3C FF CF 3C C0");
  expect(crc16(stream)).toBe(0x52ed);
  expect(swapped(crc16(stream))).toBe(0xed52);
});

test("beacon and pixel service count", () => {
  const multi = Buffer.from("X");
  expect(new Set([messageCrc(multi, 0, 0), messageCrc(multi, 1, 0), messageCrc(multi, 0, 1)]).size).toBe(3);
});

test("the activation code of the standard's example", () => {
  const code = activationCode({
    minutes: 267,
    priority: 55,
    memory: 4,
    number: 5,
    crc: 0x95f9,
    source: Buffer.from([103, 8, 9, 10]),
  });
  expect(code.toString("hex")).toBe("010b3704000595f96708090a");
});
