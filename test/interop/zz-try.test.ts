import { test } from "vitest";
import { at, connectTo, patient, settingsOf, startServer } from "./opcua-rig.ts";
import { start } from "../../simulators/opcua/index.ts";
test("try", async () => {
  const server = await startServer({ speed: "Double", on: "Boolean", big: "Int64", text: "String" });
  const { addressSpace } = server.server.engine;
  const ns = addressSpace!.getNamespace("urn:kerb:test");
  const folder = ns.addObject({ browseName: "Axis", organizedBy: addressSpace!.rootFolder.objects });
  ns.addAnalogDataItem({ browseName: "Temp", componentOf: folder, dataType: "Double", engineeringUnits: { namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact", unitId: 4408652, displayName: { text: "°C" }, description: { text: "deg" } } as never, engineeringUnitsRange: { low: -40, high: 85 }, instrumentRange: {low:-50, high: 100}, value: { dataType: "Double", value: 21.5 } as never } as never);
  const connection = await connectTo(settingsOf(server));
  const begun = performance.now();
  for await (const one of connection.browse!({ entriesMax: 1000, depthMax: 16, untilMs: begun + 30000, signal: patient() })) console.log(JSON.stringify(one, (_, v) => typeof v === "bigint" ? String(v) : v));
  console.log(performance.now() - begun);
  let n = 0;
  for await (const one of connection.browse!({ under: "i=84", entriesMax: 10000, depthMax: 16, untilMs: performance.now() + 30000, signal: patient() })) { n++; if ("left" in one) console.log(one); }
  console.log(n, performance.now() - begun);
  await connection.close(); await server.close();
});
