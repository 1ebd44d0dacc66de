import { expect, test } from "vitest";
import { examined, noisy, type Patient, speaking, webServer, listening } from "./why-rig.ts";
import { freePort } from "./ports.ts";

const at =
  (change: (transport: Record<string, unknown>) => Record<string, unknown>) =>
  (settings: Record<string, unknown>) => ({
    ...settings,
    transport: change(settings["transport"] as Record<string, unknown>),
  });

const cases: [code: string, patient: Patient][] = [
  ["KERB-NET-PORT", { driver: "modbus", harm: (rig) => rig.fault("refuse") }],
  ["KERB-NET-NAME", { driver: "modbus", wrong: at((one) => ({ ...one, host: "no-such-host.invalid" })) }],
  ["KERB-NET-ROUTE", { driver: "modbus", wrong: at((one) => ({ ...one, host: "239.255.0.1" })) }],
  ["KERB-MB-UNIT", { driver: "modbus", wrong: { unit: 9 } }],
  ["KERB-MB-TARGET", { driver: "modbus", second: true, wrong: { unit: 9 } }],
  ["KERB-MB-SILENT", { driver: "modbus", harm: (rig) => rig.fault("silent") }],
  ["KERB-MB-NOT-MODBUS", { driver: "modbus", between: () => speaking("220 mail.example ESMTP\r\n") }],
  [
    "KERB-MB-FRAMING",
    { driver: "modbus", transport: "rtu-over-tcp", wrong: at((one) => ({ ...one, type: "tcp" })) },
  ],
  ["KERB-MB-NOISE", { driver: "modbus", transport: "rtu-over-tcp", between: noisy }],
  [
    "KERB-MB-LINE-GARBAGE",
    { driver: "modbus", transport: "rtu-over-tcp", harm: (rig) => rig.fault("garbage") },
  ],
  ["KERB-DEV-HANGS-UP", { driver: "modbus", harm: (rig) => rig.fault("hangUp") }],
  ["KERB-DEV-TIMEOUT", { driver: "modbus", harm: (rig) => rig.fault("slow", 600) }],
  ["KERB-LINE-MISSING", { driver: "modbus", wrong: at(() => ({ type: "rtu", port: "/dev/no-such-port" })) }],
  ["KERB-LINE-NOT-PORT", { driver: "modbus", wrong: at(() => ({ type: "rtu", port: "/dev/null" })) }],
];

void [webServer, listening, freePort];
const only = process.env["ONLY"];
test.concurrent.for(cases.filter(([code]) => only === undefined || code.includes(only)))(
  "%s",
  async ([code, patient]) => {
    const found = await examined(patient);
    const said = found.causes.map((one) => one.code);
    if (said.join() !== code) console.log(code, JSON.stringify(found, null, 1));
    expect(said).toEqual([code]);
  },
);
