import { expect, it } from "vitest";
import { isKerbsWord, secretParts, withoutParts } from "./written.ts";

const address = (...steps: string[]) => ["points", "level", "address", ...steps];

it.each([
  ["/s?token=ab-1&n=2", address("path"), "/s?token=xxxx&n=2"],
  ["/s?n=1&key=a%20b", address("path"), "/s?n=1&key=xxxxx"],
  ["/s?key={k}&sid=a{k}b", address("path"), "/s?key={k}&sid=x{k}x"],
  ["/keys?monkey=1&sides=2&users=3", address("path"), "/keys?monkey=1&sides=2&users=3"],
  [
    '{"pin_code":0,"sim_pin":1234,"to":{value}}',
    address("payload"),
    '{"pin_code":0,"sim_pin":1111,"to":{value}}',
  ],
  ["me", address("write", "body", "login", "name"), "xx"],
  ["{value}", address("write", "body", "password"), "{value}"],
  ["VideoSource_1", address("token"), "VideoSource_1"],
  [8251, address("write", "body", "pin"), 1],
  [8251, address("register"), 8251],
  ["on", ["points", "body", "address", "token"], "on"],
] as const)("what is written of a point: %j", (text, path, left) => {
  expect(withoutParts(text, path)).toBe(left);
});

it("is looked for as it is written and without escapes, and in variables", () => {
  expect(secretParts("/s?key=a%2Fb&sid={k}", address("path"))).toEqual({
    texts: ["a%2Fb", "a/b"],
    variables: ["k"],
  });
});

it("is a word of kerb's where it can be nothing else", () => {
  expect(isKerbsWord(["points", "level", "unit"])).toBe(true);
  expect(isKerbsWord(address("poll"))).toBe(false);
  expect(isKerbsWord(["points", "unit", "label", "en"])).toBe(false);
});
