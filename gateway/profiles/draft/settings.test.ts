import { expect, test } from "vitest";
import { driverSchemas } from "../../config/drivers.ts";
import { modelSettings } from "./settings.ts";

/** Which of the settings that a device was read with hold for its model. */

async function kept(driver: string, given: Record<string, unknown>): Promise<Record<string, unknown>> {
  const schemas = await driverSchemas(driver);
  return modelSettings(schemas, schemas.settings.parse(given));
}

test("are how the device speaks, where it does not do so by default", async () => {
  const transport = { type: "tcp", host: "10.1.2.3", port: 1502 };
  const modbus = { transport, unit: 17, timeout: 300, order: "CDAB", functions: [3, 4], sunspec: true };
  expect(await kept("modbus", modbus)).toEqual({ order: "CDAB", functions: [3, 4], sunspec: true });
  expect(await kept("modbus", { transport })).toEqual({});
  const web = {
    host: "10.1.2.3",
    port: 8080,
    format: "csv",
    decimal: ",",
    separator: ";",
    charset: "latin1",
  };
  expect(await kept("http", web)).toEqual({
    format: "csv",
    decimal: ",",
    separator: ";",
    charset: "latin1",
  });
});

test("are neither the site's, nor secrets, nor texts that anybody may have written", async () => {
  const auth = { type: "header", name: "X-Key", value: "t0psecret" };
  expect(
    await kept("http", { host: "10.1.2.3", insecure: "acknowledged", auth, headers: { "X-Site": "pump 7" } }),
  ).toEqual({});
  expect(await kept("snmp", { host: "10.1.2.3", community: "t0psecret", port: 1161, row: "7" })).toEqual({});
  expect(await kept("opcua", { host: "10.1.2.3", security: "none", path: "/UA/Pump7" })).toEqual({});
  const camera = { host: "10.1.2.3", rtspPort: 5540, ports: [8899], user: "kerb", password: "t0psecret" };
  expect(await kept("onvif", { ...camera, auth: "digest", batch: 2 })).toEqual({ batch: 2 });
  const untouched = await Promise.all(
    ["http", "snmp", "opcua", "onvif"].map((driver) => kept(driver, { host: "10.1.2.3" }).catch(String)),
  );
  expect(untouched.filter((one) => typeof one === "object")).toEqual(untouched.map(() => ({})));
});
