import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { driver } from "./index.ts";
import { address, settings } from "./settings.ts";

test.each([
  [{ table: "holding", register: 10 }, "holding 10 uint16"],
  [{ table: "input", register: 52, type: "float32", order: "CDAB" }, "input 52 float32 CDAB"],
  [{ table: "coil", register: 3 }, "coil 3"],
  [{ table: "holding", register: 5, type: "bool", bit: 7 }, "holding 5 bool bit 7"],
  [{ table: "holding", register: 40, type: "text", length: 8 }, "holding 40 text of 8 registers"],
])("describe %j", (wanted, expected) => {
  expect(driver.describe(address.parse(wanted))).toBe(expected);
});

test.each([
  [{ table: "holding", register: 1, type: "text" }, "length"],
  [{ table: "holding", register: 1, length: 2 }, "length"],
  [{ table: "coil", register: 1, type: "float32" }, "type"],
  [{ table: "coil", register: 1, bit: 2 }, "bit"],
  [{ table: "holding", register: 1, bit: 2 }, "bit"],
])("the address %j is wrong in its %s", (wanted, path) => {
  const { error } = address.safeParse(wanted);
  expect(error?.issues.map((issue) => issue.path)).toEqual([[path]]);
});

test("settings have defaults for all but the transport", () => {
  expect(settings.parse({ transport: { type: "tcp", host: "h" } })).toMatchObject({
    transport: { port: 502 },
    unit: 1,
    timeout: 1000,
    requestsInFlight: 1,
  });
});

test("the devices of sample.yaml", () => {
  const sample = readFileSync(new URL("sample.yaml", import.meta.url), "utf8");
  const { devices } = parse(sample) as { devices: Record<string, unknown>[] };
  const types = devices.map(({ id, name, driver: driverName, profile, poll, ...rest }) => {
    expect([id, name, profile, poll].every((value) => typeof value === "string")).toBe(true);
    expect(driverName).toBe(driver.name);
    return settings.parse(rest).transport.type;
  });
  expect(types).toEqual(["tcp", "rtu", "rtu-over-tcp"]);
});

test("the driver loads neither zod nor serialport before they are used", () => {
  const script = `
    import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => (console.log(url), next(url, context)) });
    await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(stdout).toContain("/drivers/modbus/index.ts");
  expect(stdout).not.toMatch(/zod|serialport/);
});
