import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { check } from "./check.ts";
import { configFolder, device, folder, head, uplink, write } from "../../config/testing.ts";

async function run(file: string, options: { json?: boolean } = {}) {
  const printed = { out: "", err: "" };
  const out = vi
    .spyOn(process.stdout, "write")
    .mockImplementation((text) => ((printed.out += String(text)), true));
  const err = vi
    .spyOn(process.stderr, "write")
    .mockImplementation((text) => ((printed.err += String(text)), true));
  const code = await check(file, options).finally(() => [out, err].forEach((spy) => spy.mockRestore()));
  return {
    code,
    out: printed.out.replaceAll(`${folder}/`, ""),
    err: printed.err.replaceAll(`${folder}/`, ""),
  };
}

describe("kerb config check", () => {
  it("prints a line for each file", async () => {
    const worked = readFileSync(join(configFolder, "sites/district.yaml"), "utf8");
    const at = worked.indexOf("devices:");
    const file = write("split/site.yaml", `${worked.slice(0, at)}include: [devices.d/*.yaml]\n`);
    write("split/devices.d/all.yaml", worked.slice(at));
    cpSync(join(configFolder, "sites/secrets"), join(folder, "split/secrets"), { recursive: true });
    write("split/devices.d/none.yaml", "devices: []\n");
    const { code, out, err } = await run(file);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      [
        "split/site.yaml            ok  28 devices, 8 drivers, 1 uplink",
        "split/devices.d/all.yaml   ok  28 devices",
        "split/devices.d/none.yaml  ok  0 devices\n",
      ].join("\n"),
    );
  });

  it("prints warnings after the files", async () => {
    const { code, out } = await run(write("site.yaml", head));
    expect(code).toBe(0);
    expect(out.split("\n").filter((line) => !line.includes(" | "))).toEqual([
      "site.yaml  ok  0 devices, 0 drivers, 0 uplinks",
      "site.yaml:1:1  warning  no devices: there is nothing to read",
      "site.yaml:1:1  warning  no uplinks: events stay in the outbox",
      "",
    ]);
  });

  it("prints mistakes to stderr without colour, and how many", async () => {
    const { code, out, err } = await run(write("bad.yaml", "version: 2\n"));
    expect({ code, out }).toEqual({ code: 78, out: "" });
    expect(err).toBe(
      'bad.yaml:1:1  error  missing key "gateway"\n    1 | version: 2\n      | ^\nbad.yaml:1:10  error  expected 1, found 2\n    1 | version: 2\n      |          ^\n2 mistakes\n',
    );
  });

  it("says one clear thing about a file that cannot be read", async () => {
    const { code, err } = await run(join(folder, "none.yaml"));
    expect(code).toBe(78);
    expect(err).toMatch(
      /^none\.yaml  error  the file cannot be used: there is no such file\n  do  check the path.*\n1 mistake\n$/,
    );
  });

  it("gives scripts an envelope without secrets", async () => {
    vi.stubEnv("KERB_TEST_SECRET", "Hunter-22");
    const text = uplink("    url: mqtts://ioc.example\n    password: ${env:KERB_TEST_SECRET}\n");
    const good = await run(write("site.yaml", text), { json: true });
    expect(JSON.parse(good.out)).toMatchObject({
      api: "kerb/v1",
      kind: "config-check",
      ok: true,
      data: { gateway: "box-01", uplinks: ["ioc"] },
    });
    expect(good.out).not.toContain("Hunter");
    const shipped = device("    pol: 1s\n", ["acme/meter", "eastron/sdm630"]);
    const bad = await run(write("bad.yaml", shipped), { json: true });
    expect(bad.code).toBe(78);
    expect(JSON.parse(bad.out)).toMatchObject({
      api: "kerb/v1",
      kind: "config-check",
      ok: false,
      error: { code: "KERB-CFG-KEY", count: 1, diagnostics: [{ line: 8, column: 5 }] },
    });
  });
});
