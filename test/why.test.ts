import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll } from "vitest";
import type { Rig } from "./contract/contract.ts";
import { makeCertificates } from "./contract/http-certificates.ts";
import type { Certificate } from "./interop/tls.ts";
import { certificateOf, showing } from "./why-certificates.ts";
import { causesAre, listening, noisy, type Patient, speaking, unplugged, webServer } from "./why-rig.ts";

/** Each cause is brought about at a pretend device, and `why` names it and no other. */

type Tree = Record<string, unknown>;

const at = (change: (transport: Tree) => Tree) => (settings: Tree) => ({
  ...settings,
  transport: change(settings["transport"] as Tree),
});
const without =
  (...names: string[]) =>
  (settings: Tree): Tree =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => !names.includes(name)));
const tls = (change: Tree) => (settings: Tree) => ({
  ...settings,
  tls: Object.fromEntries(
    Object.entries({ ...(settings["tls"] as Tree), ...change }).filter(([, value]) => value !== undefined),
  ),
});

const login = { user: "kerb", password: "not-this-one" };
/** What an MQTT broker answers to whoever comes: CONNACK of MQTT 3.1.1 with a return code. */
const connack = (code: number) => () => speaking(Uint8Array.of(0x20, 2, 0, code));

/** A broker that lets in, and lets nobody listen: SUBACK 0x80. */
const deaf = () =>
  listening((socket) => {
    socket.on("data", (bytes: Buffer) => {
      const type = (bytes[0] ?? 0) >> 4;
      if (type === 1) socket.write(Uint8Array.of(0x20, 2, 0, 0));
      if (type === 8) {
        socket.write(Uint8Array.of(0x90, 3, bytes[2] ?? 0, bytes[3] ?? 0, 0x80));
      }
    });
  });

const v3 = {
  user: "kerb",
  auth: "sha",
  authPassword: "a password to sign",
  priv: "aes",
  privPassword: "a password to hide",
};
// Keys are made while everybody waits.
makeCertificates();
const old = certificateOf(2010, 2011);
const early = certificateOf(2048, 2049);
const shown = (certificate: Certificate): Patient => ({
  driver: "http",
  between: () => showing(certificate),
  wrong: { tls: { ca: certificate.cert, serverName: "device.test" } },
});
const helpers: ChildProcess[] = [];
afterAll(() => helpers.map((helper) => helper.kill("SIGKILL")));
/** Another program that has the serial port of a rig. */
async function held(rig: Rig): Promise<void> {
  const { port } = rig.siteSettings()["transport"] as { port: string };
  const helper = spawn("flock", ["--no-fork", "--exclusive", port, "sh", "-c", "echo held; exec sleep 600"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  helpers.push(helper);
  await once(helper.stdout, "data");
}
const occupied = await listening(() => {});
afterAll(() => occupied.close());
const takenPort = (settings: Tree) => ({ ...settings, port: occupied.port });

const cases: [code: string, patient: Patient][] = [
  // What takes longest begins first.
  ["KERB-MB-NOISE", { driver: "modbus", timeoutMs: 1500, transport: "rtu-over-tcp", between: noisy }],
  [
    "KERB-MB-LINE-GARBAGE",
    { driver: "modbus", timeoutMs: 1500, transport: "rtu-over-tcp", harm: (rig) => rig.fault("garbage") },
  ],
  [
    "KERB-SNMP-NOT-SNMP",
    { driver: "snmp", transport: "v2c", timeoutMs: 2500, harm: (rig) => rig.fault("garbage") },
  ],
  [
    "KERB-SNMP-COMMUNITY",
    {
      driver: "snmp",
      timeoutMs: 300,
      askMs: 2500,
      transport: "v3",
      wrong: (one) => ({ ...without("security")(one), version: "2c" }),
    },
  ],
  ["KERB-NET-PORT", { driver: "modbus", harm: (rig) => rig.fault("refuse") }],
  ["KERB-NET-NAME", { driver: "modbus", wrong: at((one) => ({ ...one, host: "no-such-host.invalid" })) }],
  ["KERB-NET-ROUTE", { driver: "modbus", wrong: at((one) => ({ ...one, host: "239.255.0.1" })) }],
  ["KERB-NET-SILENT", { driver: "modbus", reachMs: 500, between: unplugged }],
  ["KERB-DEV-HANGS-UP", { driver: "modbus", harm: (rig) => rig.fault("hangUp") }],
  [
    "KERB-DEV-TIMEOUT",
    { driver: "modbus", timeoutMs: 800, patientMs: 8000, harm: (rig) => rig.fault("slow", 1200) },
  ],
  ["KERB-DEV-SOME-BAD", { driver: "snmp", transport: "v2c", siteProfile: "generic/cabinet-snmp" }],
  ["KERB-DEV-BACK", { driver: "modbus", lost: "silent" }],
  ["KERB-DEV-OFF", { driver: "modbus", wrong: { enabled: false } }],
  ["KERB-DEV-FIRMWARE", { driver: "rsmp", wrong: { wait: 8000 } }],
  ["KERB-MB-UNIT", { driver: "modbus", timeoutMs: 500, wrong: { unit: 9 } }],
  ["KERB-MB-TARGET", { driver: "modbus", second: true, wrong: { unit: 9 } }],
  [
    "KERB-MB-SILENT",
    { driver: "modbus", timeoutMs: 200, askMs: 200, patientMs: 400, harm: (rig) => rig.fault("silent") },
  ],
  ["KERB-MB-NOT-MODBUS", { driver: "modbus", between: () => speaking("220 mail.example ESMTP\r\n") }],
  [
    "KERB-MB-FRAMING",
    {
      driver: "modbus",
      timeoutMs: 500,
      transport: "rtu-over-tcp",
      wrong: at((one) => ({ ...one, type: "tcp" })),
    },
  ],
  ["KERB-MB-REGISTERS", { driver: "modbus", siteProfile: "dfrobot/sen0676" }],
  ["KERB-MB-FUNCTION", { driver: "modbus", settings: { functions: [3] }, wrong: { functions: [3, 4] } }],
  ["KERB-LINE-BUSY", { driver: "serial", transport: "serial", harm: held }],
  ["KERB-LINE-BUSY", { driver: "modbus", transport: "rtu", harm: held }],
  ["KERB-LINE-MISSING", { driver: "modbus", wrong: at(() => ({ type: "rtu", port: "/dev/no-such-port" })) }],
  ["KERB-LINE-NOT-PORT", { driver: "modbus", wrong: at(() => ({ type: "rtu", port: "/dev/null" })) }],
  [
    "KERB-LINE-CONFLICT",
    {
      driver: "modbus",
      transport: "rtu",
      harm: (rig) => rig.connect(),
      wrong: at((one) => ({ ...one, baud: 9600 })),
    },
  ],
  [
    "KERB-LINE-SILENT",
    { driver: "serial", transport: "serial", timeoutMs: 300, harm: (rig) => rig.fault("silent") },
  ],
  ["KERB-LINE-GARBAGE", { driver: "serial", timeoutMs: 2500, harm: (rig) => rig.fault("garbage") }],
  ["KERB-HTTP-LOGIN", { driver: "http", wrong: { auth: { type: "digest", ...login } } }],
  ["KERB-HTTP-LOGIN-WANTED", { driver: "http", wrong: without("auth") }],
  ["KERB-HTTP-FORBIDDEN", { driver: "http", between: () => webServer("403 Forbidden") }],
  ["KERB-HTTP-PATH", { driver: "http", between: () => webServer("404 Not Found") }],
  [
    "KERB-HTTP-REDIRECT",
    { driver: "http", between: () => webServer("301 Moved", ["Location: https://device.test/"]) },
  ],
  ["KERB-HTTP-SERVER", { driver: "http", between: () => webServer("500 Internal Server Error") }],
  ["KERB-HTTP-BUSY", { driver: "http", between: () => webServer("503 Busy") }],
  [
    "KERB-HTTP-CONTENT",
    { driver: "http", between: () => webServer("200 OK", ["Content-Type: text/html"], "<html>login</html>") },
  ],
  ["KERB-HTTP-NOT-HTTP", { driver: "http", between: () => speaking("220 mail.example ESMTP\r\n") }],
  ["KERB-HTTP-SILENT", { driver: "http", timeoutMs: 400, harm: (rig) => rig.fault("silent") }],
  ["KERB-TLS-EXPIRED", shown(old)],
  ["KERB-TLS-NOT-YET", shown(early)],
  ["KERB-TLS-PLAIN", { driver: "http", wrong: { tls: {} } }],
  ["KERB-TLS-UNTRUSTED", { driver: "http", transport: "https, mutual", wrong: tls({ ca: undefined }) }],
  ["KERB-TLS-NAME", { driver: "http", transport: "https, mutual", wrong: tls({ serverName: "other.test" }) }],
  [
    "KERB-TLS-REJECTED",
    { driver: "http", transport: "https, mutual", wrong: tls({ cert: undefined, key: undefined }) },
  ],
  [
    "KERB-TLS-OTHER-CERTIFICATE",
    {
      driver: "http",
      transport: "https, mutual",
      wrong: tls({ ca: undefined, serverName: undefined, pin: `sha256:${"ab".repeat(32)}` }),
    },
  ],
  ["KERB-ONVIF-LOGIN", { driver: "onvif", wrong: { password: "not-this-one" } }],
  ["KERB-ONVIF-LOGIN-WANTED", { driver: "onvif", wrong: without("user", "password") }],
  [
    "KERB-ONVIF-CLOCK-LOGIN",
    {
      driver: "onvif",
      transport: "ws-token",
      wrong: { password: "not-this-one" },
      harm: (rig) => rig.fault("clockWrong"),
    },
  ],
  [
    "KERB-ONVIF-CLOCK",
    { driver: "onvif", profile: "onvif/profile-t", harm: (rig) => rig.fault("clockWrong") },
  ],
  [
    "KERB-ONVIF-OFF",
    { driver: "onvif", between: () => webServer("404 Not Found", ["Content-Type: text/html"], "<html/>") },
  ],
  ["KERB-ONVIF-NOT-HTTP", { driver: "onvif", between: () => speaking("220 mail.example ESMTP\r\n") }],
  [
    "KERB-ONVIF-REDIRECT",
    { driver: "onvif", between: () => webServer("302 Found", ["Location: https://a/"]) },
  ],
  ["KERB-ONVIF-SERVER", { driver: "onvif", between: () => webServer("500 Internal Server Error") }],
  ["KERB-ONVIF-SILENT", { driver: "onvif", timeoutMs: 400, harm: (rig) => rig.fault("silent") }],
  ["KERB-SNMP-VERSION", { driver: "snmp", transport: "v1", timeoutMs: 300, wrong: { version: "2c" } }],
  [
    "KERB-SNMP-SILENT",
    { driver: "snmp", transport: "v2c", timeoutMs: 300, askMs: 300, harm: (rig) => rig.fault("silent") },
  ],
  ["KERB-SNMP-OFF", { driver: "snmp", transport: "v2c", harm: (rig) => rig.fault("refuse") }],
  ["KERB-SNMP-USER", { driver: "snmp", transport: "v3", wrong: { security: { ...v3, user: "nobody" } } }],
  [
    "KERB-SNMP-PASSWORD",
    {
      driver: "snmp",
      transport: "v3",
      wrong: { security: { ...v3, authPassword: "another password" } },
    },
  ],
  [
    "KERB-SNMP-PRIVACY",
    {
      driver: "snmp",
      transport: "v3",
      wrong: { security: { ...v3, privPassword: "another password" } },
    },
  ],
  [
    "KERB-SNMP-LEVEL",
    {
      driver: "snmp",
      transport: "v3",
      wrong: (one) => ({ ...one, security: { user: "kerb" } }),
    },
  ],
  ["KERB-MQTT-LOGIN", { driver: "mqtt", between: connack(4) }],
  ["KERB-MQTT-AUTHORISATION", { driver: "mqtt", between: connack(5) }],
  ["KERB-MQTT-VERSION", { driver: "mqtt", between: connack(1) }],
  ["KERB-MQTT-ID", { driver: "mqtt", between: connack(2) }],
  ["KERB-MQTT-UNAVAILABLE", { driver: "mqtt", between: connack(3) }],
  ["KERB-MQTT-TOPIC-RIGHTS", { driver: "mqtt", between: deaf }],
  ["KERB-MQTT-NOT-MQTT", { driver: "mqtt", between: () => speaking("HTTP/1.1 400 Bad Request\r\n\r\n") }],
  [
    "KERB-MQTT-CLOSES",
    {
      driver: "mqtt",
      between: () => listening((socket) => void socket.once("data", () => socket.destroy())),
    },
  ],
  ["KERB-MQTT-MUTE", { driver: "mqtt", timeoutMs: 500, between: () => listening(() => {}) }],
  [
    "KERB-MQTT-DEVICE-SILENT",
    {
      driver: "mqtt",
      harm: (rig) => rig.fault("silent"),
      wrong: { variables: { name: "nobody" } },
    },
  ],
  [
    "KERB-RSMP-NO-CALL",
    { driver: "rsmp", wrong: { wait: 300 }, askMs: 300, harm: (rig) => rig.simulator().close() },
  ],
  ["KERB-RSMP-SITE-ID", { driver: "rsmp", wrong: { siteId: "KERB+9=009TC", wait: 300 } }],
  [
    "KERB-RSMP-VERSION",
    { driver: "rsmp", settings: { versions: ["3.2.2"] }, wrong: { versions: ["3.1.2"], wait: 8000 } },
  ],
  ["KERB-RSMP-SXL", { driver: "rsmp", wrong: { sxl: ["1.0.15"], wait: 8000 } }],
  ["KERB-RSMP-REFUSED", { driver: "rsmp", harm: (rig) => rig.fault("refuse") }],
  ["KERB-RSMP-NOT-RSMP", { driver: "rsmp", harm: (rig) => rig.fault("garbage") }],
  ["KERB-RSMP-ADDRESS", { driver: "rsmp", wrong: { host: "192.0.2.77" } }],
  ["KERB-RSMP-PORT-TAKEN", { driver: "rsmp", wrong: takenPort }],
  ["KERB-RSMP-MUTE", { driver: "rsmp", timeoutMs: 600, harm: (rig) => rig.fault("silent") }],
];

causesAre(cases);
