import type { OpcuaSimulator } from "../simulators/opcua/index.ts";
import type { Rig } from "./contract/contract.ts";
import { causesAre, type Patient, speaking } from "./why-rig.ts";

/** Apart from the other drivers: while a server of OPC UA starts, nobody else in the process is answered in time. */

/** A server that lets nobody in without a name. */
function namesOnly({ server: one }: OpcuaSimulator): void {
  for (const endpoint of one.endpoints)
    for (const description of endpoint.endpointDescriptions())
      description.userIdentityTokens = (description.userIdentityTokens ?? []).filter(
        ({ tokenType }) => (tokenType as number) !== 0,
      );
}

/** A server all of whose sessions are taken. */
function fullUp({ server: one }: OpcuaSimulator): void {
  Object.defineProperty(one, "maxAllowedSessionNumber", { value: 0 });
  one.engine.serverCapabilities.maxSessions = 0;
}
const server = (rig: Rig) => rig.simulator() as OpcuaSimulator;

const cases: [code: string, patient: Patient][] = [
  ["KERB-UA-LOGIN", { driver: "opcua", transport: "sign-and-encrypt", wrong: { password: "not-this-one" } }],
  ["KERB-UA-PIN", { driver: "opcua", transport: "sign-and-encrypt", wrong: { pin: "ab".repeat(32) } }],
  ["KERB-UA-NOT-PINNED", { driver: "opcua", transport: "sign-and-encrypt", wrong: { trust: "pinned" } }],
  [
    "KERB-UA-ENDPOINT",
    {
      driver: "opcua",
      transport: "sign-and-encrypt",
      timeoutMs: 5000,
      wrong: { policy: "Aes256_Sha256_RsaPss" },
    },
  ],
  ["KERB-UA-TOKEN", { driver: "opcua", harm: (rig) => namesOnly(server(rig)) }],
  ["KERB-UA-NOT-UA", { driver: "opcua", between: () => speaking("HTTP/1.1 400 Bad Request\r\n\r\n") }],
  [
    "KERB-UA-NODES",
    { driver: "opcua", profile: "opc-foundation/vehicle-scale", siteProfile: "opcua/signal-controller" },
  ],
  ["KERB-DEV-MODEL", { driver: "opcua", siteProfile: "opc-foundation/vehicle-scale" }],
  ["KERB-UA-SILENT", { driver: "opcua", timeoutMs: 500, harm: (rig) => rig.fault("silent") }],
  ["KERB-UA-SESSIONS", { driver: "opcua", harm: (rig) => fullUp(server(rig)) }],
];

causesAre(cases);
