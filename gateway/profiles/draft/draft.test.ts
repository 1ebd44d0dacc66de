import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Browsed, Identity } from "../../driver.ts";
import { lintProfiles } from "../lint/lint.ts";
import { loadModels } from "../models.ts";
import { loadProfile } from "../profiles.ts";
import { driverSchemas } from "../../config/drivers.ts";
import { draftId, draftProfile } from "./draft.ts";

/** Drafts of what devices say, and of what none should: each is a profile that loads, and gives no unit away. */

const folder = mkdtempSync(join(tmpdir(), "kerb-draft-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "acme"));

const { address } = await driverSchemas("http");
const models = loadModels();

function drafted(entries: readonly Browsed[], identity: Identity = {}, named?: string, own = {}) {
  return draftProfile({
    driver: "http",
    className: undefined,
    given: named,
    identity,
    entries,
    isMute: false,
    settings: own,
    left: ["left out by a limit"],
    ended: undefined,
    date: "2026-11-22",
    kerb: "0.1.0",
    rules: { isAddress: (one) => address.safeParse(one).success, isPersonal: () => false },
  });
}

/** The draft as a profile, and what the lint says of it. */
async function loaded(text: string) {
  const file = join(folder, "acme", "thing.yaml");
  writeFileSync(file, text);
  const findings = await lintProfiles([file], models);
  return { profile: loadProfile("acme/thing", folder), findings: findings.flatMap((one) => one.findings) };
}

const value = (path: string[], more: Partial<Browsed> = {}): Browsed => ({
  what: "value",
  path,
  address: { path: "/x", pick: `$["${path.join(" ").replaceAll(/[^a-z]/gi, "-")}"]` },
  type: "number",
  answer: 1,
  ...more,
});

const by = (path: string, namespaces: Record<string, string>) => [
  { address: { path }, settings: { namespaces } },
];

const nameLines = (...of: Parameters<typeof drafted>) =>
  drafted(...of).text.match(/^(vendor|model): "[^"]*"/gm);

describe("a draft", () => {
  test("is named by the device, else by who asked for it, and never by the site file", () => {
    expect(nameLines([])).toEqual(['vendor: "Unknown"', 'model: "Unknown"']);
    expect(nameLines([], {}, "acme/flow-200")).toEqual(['vendor: "acme"', 'model: "flow-200"']);
    expect(nameLines([], { model: "F2" }, "acme/flow-200")).toEqual(['vendor: "acme"', 'model: "F2"']);
  });

  test("keeps the settings that the device was read with, and those that its answers need", async () => {
    const needs = value(["Flow"], { settings: { utcOffset: "+07:00" } });
    const { text } = drafted([needs], {}, undefined, { decimal: ",", format: "csv" });
    expect(text).toMatch(/^ {2}decimal: "," # as it was read$/m);
    expect(text).toMatch(/^ {2}utcOffset: .* # as the device answered$/m);
    const { profile } = await loaded(text);
    expect(profile.settings).toEqual({ decimal: ",", format: "csv", utcOffset: "+07:00" });
  });

  test("says once what the other addresses need that it offers", async () => {
    const { text } = drafted([
      value(["Flow"], { also: by("/di:Pump/flow", { di: "http://opcfoundation.org/UA/DI/" }) }),
      value(["Level"], { also: by("/di:Pump/m:level", { m: "urn:acme:m" }) }),
      value(["Mode"], { address: { path: "/x", pick: "$.no", bad: 1 }, also: by("/z:mode", { z: "urn:z" }) }),
    ]);
    const said = text.replaceAll(/\n *# /g, " ");
    expect(said).toMatch(/also \{ path: "\/di:Pump\/flow" \}/);
    const whole =
      /addresses behind "also" need in the settings: \{ namespaces: \{ di: "http:[^"]*", m: "urn:acme:m" \} \}/g;
    expect(said.match(whole)).toHaveLength(1);
    expect((await loaded(text)).profile.settings).toEqual({});
    expect(drafted([value(["Flow"])]).text).not.toContain('"also"');
  });

  test("says what is told as such, and what is not as a guess", async () => {
    const { text, points, guesses, commands } = drafted(
      [
        value(["Pump", "Flow rate"], {
          unit: { text: "m³/h", ucum: "m3/h" },
          range: [0, 250],
          access: "read-write",
          answer: 118.25,
          changes: true,
        }),
        value(["Mode"], { values: { "0": "Off", "2": "By hand" }, answer: 2, changes: false }),
        value(["Weight"], { unit: { text: "gpm" } }),
        value(["Door"], {
          type: "boolean",
          answer: true,
          address: { path: "/x", pick: "$.d", type: "boolean" },
        }),
        value(["Broken"], { answer: { value: null, status: "bad", code: "BadSensor" } }),
        value(["Weight"]),
        { what: "command", path: ["Reset"], address: { path: "/reset" } },
      ],
      { vendor: "Acme", model: "Flow 200", firmware: "3.2" },
    );
    expect({ points, guesses, commands }).toEqual({ points: 4, guesses: 1, commands: 1 });
    const { profile, findings } = await loaded(text);
    expect(findings).toEqual([]);
    expect(profile).toMatchObject({
      vendor: "Acme",
      model: "Flow 200",
      class: "other",
      identify: { is: { model: ["Flow 200"] } },
    });
    expect(profile.points).toMatchObject([
      { name: "native.pump.flowRate", unit: "m3/h", typical: [118.25, 118.25], certainty: "seen" },
      { name: "native.mode", values: { "0": "off", "2": "by-hand" }, typical: [2, 2] },
      { name: "native.weight", unit: "1", certainty: "to-verify" },
      { name: "native.door", kind: "boolean", fixed: true },
    ]);
    expect(text.replaceAll(/\n +# /g, " ")).toMatch(
      /range is told as 0 … 250; it may be written: `write` is for you to decide/,
    );
    expect(text).toMatch(/unit: "1" # guess: the device says "gpm"/);
    expect(text).toMatch(/# left out: Broken: BadSensor$/m);
    expect(text).toMatch(/# - Reset: \{ path: "\/reset" \}/);
    expect(text).toMatch(/# left out by a limit/);
    expect(text).toMatch(/It reported the firmware 3\.2/);
  });

  test("keeps neither serial numbers nor texts", () => {
    const guesses = [{ address: { path: "/x" }, type: "number", answer: 20_731_145, why: "possible" }];
    const { text } = drafted(
      [
        value(["Total"], { answer: 20_731_145, guesses }),
        value(["Info"], { answer: "unit SN-20731145 of Mr Nguyen", type: "text" }),
        value(["IMEI"], { answer: 356_938_035_643_809 }),
        value(["device", "serialNumber"], { answer: 77_001_234 }),
      ],
      { vendor: "Acme", model: "Flow SN-20731145", serial: "SN-20731145" },
    );
    for (const told of ["20731145", "Nguyen", "356938035643809", "77001234"])
      expect(text).not.toContain(told);
    expect(draftId({ vendor: "Acme", model: "Flow SN-20731145", serial: "SN-20731145" }, "flow-1")).toBe(
      "acme/flow-1",
    );
  });

  test("writes no digits of what was a text, and of nothing that is called like a secret", () => {
    const web = (name: string, digits: string) => {
      const guesses = ["number", "text"].map((type) => {
        const answer = type === "number" ? Number(digits) : digits;
        return { address: { path: "/x", pick: `$.${name}`, type }, type, answer };
      });
      return value([name], { address: guesses[0]!.address, answer: guesses[0]!.answer, guesses });
    };
    const texts: [string, string][] = [
      ["modem_imei", "352099001761481"],
      ["owner_phone", "+84912345678"],
      ["wifi_pin", "12345670"],
      ["admin_password", "20231234"],
      ["note", "48291007"],
    ];
    const numbers: [string, number][] = [
      ["device_sn", 48_291_008],
      ["simImei", 352_099_001_761_482],
      ["wifi_mac", 111_222_333],
      ["adminPwd", 77_001],
      ["msisdn", 84_912_345_679],
      ["pin", 4711],
      ["SIMIccid", 555_666_777],
    ];
    const { text } = drafted([
      ...texts.map(([name, digits]) => web(name, digits)),
      ...numbers.map(([name, answer]) => value([name], { answer })),
      value(["spinning"], { answer: 815 }),
    ]);
    for (const told of [...texts, ...numbers].map(([, digits]) => digits))
      expect(text).not.toContain(String(Number(told)));
    expect(text).toMatch(/it held a text of 8 characters/);
    expect(text).toMatch(/typical: \[815, 815\]/);
  });

  test("has a veil over the serial number wherever the device says it", async () => {
    const { text } = drafted(
      [
        value(["SN-20731145", "Temp"], { label: "Temp of sn 20731145" }),
        value(["Broken"], { answer: { value: null, status: "bad", code: "bad", reason: "octets 3139" } }),
      ],
      { vendor: "Acme", model: "Flow 200", serial: "SN-20731145", firmware: "3.2 (SN-20731145)" },
    );
    expect(text).not.toMatch(/20731145|octets 3139/);
    expect((await loaded(text)).profile.points).toHaveLength(1);
    // What is too short to be one unit's own stays: it would be in every address.
    expect(drafted([value(["Pump 1"])], { serial: "1" }).text).toMatch(/version: 1\n[^]*Pump 1/);
  });

  test("does not say by which words a model is known that a pattern cannot name", async () => {
    for (const model of ["RUT*", "x".repeat(101)]) {
      const { text } = drafted([value(["Flow"])], { vendor: "Acme", model });
      expect(text).not.toMatch(/^ {2}is:/m);
      expect(text).toMatch(/# identify\.is: .*(\*|100 characters)/);
      expect((await loaded(text)).profile.identify.is).toBeUndefined();
    }
  });

  test("has a name for each of two things that are called alike, and for what has no letters", async () => {
    const odd = [["Lưu lượng", "Đầu vào"], ["Luu luong", "dau vao"], ["№ 5"], ["…"], [""], ["a".repeat(300)]];
    const { profile } = await loaded(
      drafted(odd.map((path, i) => value(path, { address: { path: "/x", pick: `$[${i}]` } }))).text,
    );
    expect(profile.points.map(({ name }) => name)).toEqual([
      "native.luuLuong.dauVao",
      "native.luuLuong.dauVao.2",
      "native.5",
      "native.value",
      "native.value.2",
      `native.${"a".repeat(40)}`,
    ]);
  });

  test("loads whatever a device says", async () => {
    let state = 5;
    const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
    const pieces = [
      "\n",
      "#",
      ": ",
      "'",
      '"',
      "\\",
      "\u0007",
      "\u0085",
      "\u2028",
      "\ud800",
      "{",
      "}",
      "- ",
      "%",
      "${secret:x}",
      "&a",
      "*a",
      "!!js",
      "Độ",
      "x",
      "\ufeff",
      "\u009b31m",
      "\u202e",
    ];
    const odd = () =>
      Array.from(
        { length: Math.floor(random() * 8) },
        () => pieces[Math.floor(random() * pieces.length)],
      ).join("");
    const answers = () =>
      [1, -0, 1e300, 5e-324, 2n ** 64n, true, odd(), 0.1, "12"][Math.floor(random() * 9)]!;
    for (let round = 0; round < 25; round++) {
      const entries = Array.from({ length: 6 }, (_, i): Browsed => {
        const own = { path: "/x", pick: `$.m${i}`, type: "text" as const };
        const guesses = [
          { address: own, type: odd(), answer: answers(), why: odd() },
          { address: own, type: odd(), answer: answers() },
        ];
        const field = {
          what: "value" as const,
          path: [odd()],
          address: { pick: "$.a", type: "text" },
          type: odd(),
        };
        return {
          what: random() < 0.7 ? "value" : random() < 0.5 ? "record" : "command",
          path: [odd(), odd()],
          address: random() < 0.1 ? { bad: odd() } : own,
          type: odd(),
          label: odd(),
          description: odd(),
          unit: { text: odd() },
          values: { "1": odd(), "2": odd(), [odd()]: odd() },
          answer: answers(),
          fields: [field, field],
          ...(random() < 0.5 ? { guesses } : {}),
        };
      });
      const { text } = drafted(entries, { vendor: odd(), model: odd(), firmware: odd(), serial: odd() });
      const { findings } = await loaded(text);
      expect(
        findings
          // What this device answers is of any kind, whatever its address says.
          .filter(({ severity, rule }) => severity === "error" && rule !== "kind")
          .map(({ message }) => message),
        text,
      ).toEqual([]);
      // Nothing that a terminal obeys, and no line that the device has made.
      expect(text).not.toMatch(/(?!\n)[\p{Cc}\u2028\u202e]/u);
    }
  });
});
