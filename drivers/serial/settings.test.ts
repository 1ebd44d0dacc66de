import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { address, settings, type Address } from "./settings.ts";
import { profileFile } from "./testing.ts";

const folder = new URL("../../firmware-profiles/", import.meta.url);
const ids = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name }) =>
    readdirSync(new URL(`${name}/`, folder))
      .filter((file) => file.endsWith(".yaml"))
      .map((file) => `${name}/${file.slice(0, -".yaml".length)}`),
  )
  .filter((id) => profileFile(id).driver === "serial");

const tcp = { type: "tcp", host: "192.0.2.1", port: 4001 };

test("there are profiles", () => expect(ids.length).toBeGreaterThan(6));

describe.each(ids)("profile %s", (id) => {
  const profile = profileFile(id);
  const { grammar } = settings.parse({ ...profile.settings, transport: tcp });

  test("has settings that the driver takes, on a serial port as over TCP", () => {
    const given = profile.settings["transport"] as Record<string, unknown>;
    const serial = { ...(given["type"] === "serial" ? given : { type: "serial" }), port: "/dev/ttyUSB0" };
    for (const transport of [tcp, serial]) {
      const result = settings.safeParse({ ...profile.settings, transport });
      expect(result.success, result.error?.message).toBe(true);
    }
  });

  test("has addresses that its grammar serves", () => {
    const check = (one: Address) => {
      const { request, frame, item, field } = one;
      const asked = request === undefined ? undefined : grammar.requests[request];
      if (request !== undefined) expect(asked, `request ${request}`).toBeDefined();
      if (asked?.sdi12 !== undefined) return expect(field).toMatch(/^value\d$/);
      const from = grammar.frames[frame ?? asked?.answer ?? ""];
      expect(from, `frame of ${JSON.stringify(one)}`).toBeDefined();
      if (field === undefined) return;
      if (field === "missed") return expect(from?.sequence).toBeDefined();
      expect((item === undefined ? from?.fields : from?.items?.fields)?.[field], field).toBeDefined();
    };
    for (const point of Object.values(profile.points)) check(address.parse(point.address));
    for (const record of Object.values(profile.records ?? {})) {
      check(address.parse(record.address));
      for (const one of Object.values(record.fields)) check(address.parse(one.address));
    }
    for (const [name, frame] of Object.entries(grammar.frames)) {
      for (const only of frame.flags.flatMap((flag) => flag.only ?? []))
        expect(frame.fields[only], `${name}: flag of ${only}`).toBeDefined();
      const { settled } = frame;
      if (settled !== undefined)
        expect(Object.keys(frame.fields)).toEqual(
          expect.arrayContaining([settled.field, settled.stable.field]),
        );
    }
    const { identify } = grammar;
    if (identify === undefined) return;
    const { request, ...fields } = identify;
    const told = grammar.frames[grammar.requests[request]?.answer ?? ""];
    for (const field of Object.values(fields))
      expect(told?.fields[String(field)], String(field)).toBeDefined();
  });

  test("asks in ways that only ask: nothing that sets, zeroes or tares", () => {
    for (const { send = "" } of Object.values(grammar.requests)) expect(send).not.toMatch(/ST|\bZ|\bT\r/);
  });
});

test.each([
  [{ framing: {} }, ["framing", "end"]],
  [{ framing: { end: "\r", checksum: { kind: "xor", over: "frame", place: "tail" } } }, ["framing", "tail"]],
  [
    { framing: { end: "\r" }, requests: { a: { send: "x", answer: "nothing" } } },
    ["requests", "a", "answer"],
  ],
  [{ framing: { end: "\r" }, requests: { a: { send: "x" } } }, ["requests", "a"]],
  [{ framing: { end: "\r" }, identify: { request: "b" } }, ["identify", "request"]],
  [{ framing: { end: "\r" }, identify: { request: "toString" } }, ["identify", "request"]],
  [
    { framing: { end: "\r" }, frames: { a: { flags: [{ at: 1, as: "hex", code: "c", rest: true }] } } },
    ["frames", "a", "flags"],
  ],
])("the grammar %j is wrong at %j", (given, path) => {
  const { error } = settings.safeParse({ transport: tcp, grammar: { dialect: "test", ...given } });
  expect(error?.issues.map((issue) => issue.path)).toContainEqual(["grammar", ...path]);
});

test("a station is a short word, a zone an offset, an address a request or a frame", () => {
  const grammar = { dialect: "test", framing: { end: "\r" } };
  const wrong = (more: Record<string, unknown>) =>
    settings.safeParse({ transport: tcp, grammar, ...more }).success;
  expect(wrong({ station: "01\r" })).toBe(false);
  expect(wrong({ zone: "Asia/Ho_Chi_Minh" })).toBe(false);
  expect(settings.parse({ transport: tcp, grammar, station: 7 })).toMatchObject({
    station: "7",
    zone: "+07:00",
  });
  for (const timeout of ["5ms", "0ms", 1, "16s", "9999999s"])
    expect(wrong({ timeout }), String(timeout)).toBe(false);
  expect(settings.parse({ transport: tcp, grammar, timeout: "1.5s" }).timeout).toBe(1500);
  expect(address.safeParse({ field: "x" }).success).toBe(false);
  expect(address.safeParse({ request: "a", frame: "b", field: "x" }).success).toBe(false);
});

test("the devices of sample.yaml", () => {
  const sample = readFileSync(new URL("sample.yaml", import.meta.url), "utf8");
  const { devices } = parse(sample) as { devices: Record<string, unknown>[] };
  expect(devices).toHaveLength(4);
  for (const { id, profile, driver } of devices) {
    expect(driver, String(id)).toBe("serial");
    expect(ids).toContain(profile);
  }
});

test("the driver loads neither zod nor serialport before they are used", () => {
  const script = `
    import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => (console.log(url), next(url, context)) });
    await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(stdout).toContain("/drivers/serial/index.ts");
  expect(stdout).not.toMatch(/zod|serialport/);
});
