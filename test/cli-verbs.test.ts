import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { verbs } from "../gateway/cli/verbs.ts";
import { siteFile, envelope, kerb, root } from "./cli-rig.ts";

/** The command line: what each verb says of itself, in real processes. */

function importsOf(file: string): (string | undefined)[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/^import (?!type ).* from "(.+)";$/gm)].map(([, from]) => from);
}

describe("the command line", () => {
  it("lists every verb, and each has a help of its own", () => {
    const { code, out } = kerb(["--help"]);
    expect(code).toBe(0);
    for (const { name } of verbs) expect(out).toMatch(new RegExp(`^  ${name}\\b`, "m"));
    const help = kerb(["read", "--help", "--lang", "vi"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toMatch(/^Cách dùng: kerb read /);
    expect(kerb(["help"], { LC_MESSAGES: "vi_VN.UTF-8" }).out).toContain("Cách dùng: kerb LỆNH");
    expect(kerb(["--lang", "vi", "--help"]).out).toContain("Cách dùng: kerb LỆNH");
  });

  it("shows help without loading anything else", () => {
    expect(importsOf("gateway/main.ts")).toEqual(["./cli/verbs.ts", "./words.ts"]);
    expect(importsOf("gateway/cli/verbs.ts")).toEqual(["node:fs", "../words.ts"]);
    expect(importsOf("gateway/words.ts")).toEqual([]);
  });

  it.each([
    [["sttus"], /no verb "sttus"\n\s+do\s+did you mean: kerb status\?/],
    [["nothing-like-it"], /no verb "nothing-like-it"\n\s+do\s+kerb --help/],
    [["read"], /missing required argument 'device'/],
    [["read", "meter-01", "--wach"], /unknown option '--wach'\n\s+do\s+did you mean: --watch\?/],
    [["tail", "--kind", "telemetri"], /Allowed choices are telemetry/],
    [["receive", "--broker", "mqtt://127.0.0.1:1"], /'--city <city>' not specified/],
    [["receive", "--broker", "x", "--city", "y", "--ack-interval", "60"], /time span with its unit/],
    [["simulate", "eastron/sdm630", "--port", "70000"], /whole number from 0 to 65535/],
    [["simulate"], /nothing to simulate was named\n\s+do\s+kerb simulate eastron\/sdm630/],
    [["simulate", "eastron/sdm630", "--site", "config/sites/district.yaml"], /exclude each other/],
    [["simulate", "eastron/sdm630", "--device", "meter-01"], /--device is for a site/],
    [
      ["simulate", "eastron/sdm630", "--firmware", "2.0"],
      /--firmware changes nothing: eastron\/sdm630 tells none/,
    ],
    [
      ["simulate", "eastron/sdm630", "--serial", "/dev/nope"],
      /\/dev\/nope cannot be opened \(.*No such file/,
    ],
    [
      ["simulate", "generic/nmea-weather", "--serial", "/dev/nope"],
      /\/dev\/nope cannot be opened .*\n +do +.*socat/,
    ],
    [["profile", "new"], /'--from <device>' not specified\n +do +kerb profile new --help/],
    [["profile", "new", "acme/x", "--form", "y"], /\n +do +(kerb profile new --help|did you mean: --from)/],
    [["profile", "nwe"], /no verb "profile nwe"\n +do +did you mean: kerb profile new\?/],
    [["check"], /missing required argument 'file'/],
    [["status", "extra"], /too many arguments/],
  ])("%j is refused in one sentence with the cure", (args, sentence) => {
    const { code, out, err } = kerb(args);
    expect(err).toMatch(sentence);
    expect(err).toMatch(/^ {2}do +\S/m);
    expect({ code, out }).toEqual({ code: 2, out: "" });
  });

  it.each(["simulate", "profiles"])(
    "%s says how a file is named that it does not take for a profile",
    (verb) => {
      const { code, err } = kerb([verb, "acme/ups.yml"]);
      expect(code).toBe(3);
      expect(err).toMatch(/no profile "acme\/ups\.yml"\n +do +.*ending in \.yaml/);
    },
  );

  it("says the same to machines", () => {
    const { code, out, err } = kerb(["sttus", "--json"]);
    expect({ code, err }).toEqual({ code: 2, err: "" });
    const error = {
      code: "KERB-CLI-USAGE",
      title: 'there is no verb "sttus"',
      hint: "did you mean: kerb status?",
    };
    expect(envelope(out)).toEqual({ api: "kerb/v1", kind: "sttus", ok: false, error });
    const vietnamese = kerb(["sttus", "--lang", "vi"]).err;
    expect(vietnamese).toMatch(/không có lệnh "sttus"\n +cách xử lý +có phải ý bạn là: kerb status\?/);
  });

  it("checks a site file", () => {
    const file = siteFile("check", { broker: 1883, meter: 502 });
    expect(kerb(["check", file])).toMatchObject({ code: 0, err: "" });
    writeFileSync(file, readFileSync(file, "utf8").replace("unit: 1", "unt: 1"));
    const { code, err } = kerb(["check", file]);
    expect(code).toBe(78);
    expect(err).toMatch(/gateway\.yaml:\d+:\d+ .*unt/);
    expect(envelope(kerb(["check", file, "--json"]).out)).toMatchObject({ kind: "check", ok: false });
    expect(kerb(["run", file]).code).toBe(78);
  });

  it("lists drivers, profiles and versions", () => {
    expect(envelope(kerb(["drivers", "--json"]).out)).toMatchObject({ kind: "drivers", ok: true });
    expect(kerb(["drivers"]).out).toMatch(
      /^modbus +(simulated|unproven|field-proven) \(.*\) +yes +.*eastron\/sdm630/m,
    );
    expect(kerb(["drivers", "--lang", "vi"]).out).toMatch(/^DRIVER +MỨC KIỂM CHỨNG/);
    expect(kerb(["profiles"]).out).toMatch(/^eastron\/sdm630 +Eastron SDM630-Modbus +energy-meter/m);
    expect(kerb(["profiles", "eastron/sdm630"]).out).toMatch(/^voltage\.L1 +input 0 float32 +V /m);
    const unknown = kerb(["profiles", "eastron/sdm63"]);
    expect(unknown.code).toBe(3);
    expect(unknown.err).toContain('did you mean "eastron/sdm630"?');
    const { data } = envelope(kerb(["version", "--json"]).out);
    expect(data).toMatchObject({
      kerb: kerb(["--version"]).out.trim(),
      sqlite: expect.stringMatching(/^3\./) as string,
    });
  }, 60_000);
});
