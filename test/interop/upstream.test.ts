import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Server } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../ports.ts";
import { certificateOf } from "../why-certificates.ts";
import { Bench, city, kerb, programPath, runProgram, type Program } from "./processes.ts";
import { Authority, brokerName, type Certificate } from "./tls.ts";

/** `kerb upstream test` and `kerb doctor` before Debian's broker, over TLS and with client certificates. */

const programs = ["mosquitto", "mosquitto_passwd", "mosquitto_sub", "openssl"].map(programPath);
const [mosquitto, mosquittoPasswd, mosquittoSub, openssl] = programs as [string, string, string, string];
const gatewayId = "cabinet-7";
const user = { username: gatewayId, password: "right-and-long" };

type Tree = Record<string, unknown>;

/** The listeners of the one broker, by what they are like. */
const listeners = ["tls", "mutual", "plain", "expired", "early", "full"] as const;
type Listener = (typeof listeners)[number];

interface Stage {
  bench: Bench;
  broker: Program;
  port: Record<Listener | "http" | "silent", number>;
  authority: Authority;
  stranger: Authority;
  own: Certificate;
  servers: Server[];
}

function serving(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

async function openStage(): Promise<Stage> {
  const bench = new Bench();
  const file = (name: string, text: string): string => {
    const path = join(bench.folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const authority = new Authority(openssl, bench.folder, "authority");
  const stranger = new Authority(openssl, bench.folder, "stranger");
  const shown = authority.issue("broker", [`DNS:${brokerName}`, "IP:127.0.0.1"]);
  const dated = (name: string, from: number, to: number): Certificate => {
    const { cert, key } = certificateOf(from, to);
    return { cert: file(`${name}.pem`, cert), key: file(`${name}.key`, key) };
  };
  const certificates: Partial<Record<Listener, Certificate>> = {
    tls: shown,
    mutual: shown,
    full: shown,
    expired: dated("expired", 2019, 2020),
    early: dated("early", 2090, 2091),
  };
  const passwords = file("passwords", "");
  for (const name of [gatewayId, "ioc"]) runProgram(mosquittoPasswd, "-b", passwords, name, user.password);
  chmodSync(passwords, 0o600);
  const acl = file(
    "acl",
    [
      "user ioc",
      `topic readwrite ${city}/#`,
      `pattern read ${city}/ack/v1/%u`,
      `pattern read ${city}/host/#`,
      `pattern readwrite ${city}/+/v1/%u/#`,
      `pattern write ${city}/+/v1/%u`,
    ].join("\n") + "\n",
  );
  const port = { http: 0, silent: 0 } as Stage["port"];
  for (const name of listeners) port[name] = await freePort();
  const listener = (name: Listener): string[] => {
    const tls = certificates[name];
    return [
      `listener ${port[name]} 127.0.0.1`,
      ...(tls === undefined ? [] : [`cafile ${authority.ca}`, `certfile ${tls.cert}`, `keyfile ${tls.key}`]),
      ...(name === "full" ? ["max_connections 1"] : []),
      "allow_anonymous false",
      ...(name === "mutual"
        ? ["require_certificate true", "use_identity_as_username true"]
        : [`password_file ${passwords}`]),
      `acl_file ${acl}`,
    ];
  };
  const config = ["per_listener_settings true", `user ${userInfo().username}`, "log_type all"];
  const broker = bench.start(
    mosquitto,
    "-c",
    file("conf", [...config, ...listeners.flatMap(listener), ""].join("\n")),
  );
  await broker.line((line) => line.includes("running"));
  // The one client that the full listener takes.
  const login = ["-u", "ioc", "-P", user.password, "--cafile", authority.ca];
  bench.start(mosquittoSub, "-h", "127.0.0.1", "-p", String(port.full), ...login, "-t", `${city}/none`);
  await broker.line((line) => line.includes(`${city}/none`));
  const http = createHttpServer((_request, response) => response.end("hello"));
  // It has no certificates to lose, and never says a word.
  const silent = createServer(() => {});
  port.http = await serving(http);
  port.silent = await serving(silent);
  return {
    bench,
    broker,
    port,
    authority,
    stranger,
    own: authority.issue(gatewayId),
    servers: [http, silent],
  };
}

interface Step {
  step: string;
  state: string;
  code?: string;
  seen?: string;
}

interface Case {
  what: string;
  uplink: (stage: Stage) => Tree;
  /** Where it ends, and with which code; absent: it does not. */
  ends?: [step: string, code: string];
}

const secured = (
  stage: Stage,
  listener: Stage["port"] extends Record<infer Name, number> ? Name : never,
  tls: Tree,
  more: Tree = user,
): Tree => ({
  url: `mqtts://127.0.0.1:${stage.port[listener]}`,
  ...more,
  tls,
});

const ca = ({ authority }: Stage): Tree => ({ ca: authority.ca });
const mutual = (stage: Stage): Tree => ({ ...ca(stage), ...stage.own });

const cases: Case[] = [
  { what: "TLS, user and password", uplink: (stage) => secured(stage, "tls", ca(stage)) },
  { what: "TLS with a client certificate", uplink: (stage) => secured(stage, "mutual", mutual(stage), {}) },
  {
    what: "a wrong password",
    uplink: (stage) => secured(stage, "tls", ca(stage), { ...user, password: "wrong" }),
    // mosquitto says the same of a wrong password and of a missing right; the text of the code says so.
    ends: ["login", "KERB-UP-NOT-AUTHORISED"],
  },
  {
    what: "another authority",
    uplink: (stage) => secured(stage, "tls", { ca: stage.stranger.ca }),
    ends: ["tls", "KERB-UP-TLS-UNTRUSTED"],
  },
  {
    what: "another name",
    uplink: (stage) => secured(stage, "tls", { ...ca(stage), serverName: "broker.hanoi.test" }),
    ends: ["tls", "KERB-UP-TLS-NAME"],
  },
  {
    what: "a certificate that has run out",
    uplink: (stage) => secured(stage, "expired", { ca: join(stage.bench.folder, "expired.pem") }),
    ends: ["tls", "KERB-UP-TLS-EXPIRED"],
  },
  {
    what: "a certificate of the future, as before a clock that is behind",
    uplink: (stage) => secured(stage, "early", { ca: join(stage.bench.folder, "early.pem") }),
    ends: ["tls", "KERB-UP-TLS-NOT-YET"],
  },
  {
    what: "no client certificate where one is wanted",
    uplink: (stage) => secured(stage, "mutual", ca(stage)),
    ends: ["tls", "KERB-UP-TLS-REJECTED"],
  },
  {
    what: "a client certificate of another authority",
    uplink: (stage) => secured(stage, "mutual", { ...ca(stage), ...stage.stranger.issue(gatewayId) }, {}),
    ends: ["tls", "KERB-UP-TLS-REJECTED"],
  },
  {
    what: "a key that does not belong to the certificate",
    uplink: (stage) =>
      secured(stage, "mutual", { ...mutual(stage), key: stage.stranger.issue(`${gatewayId}-x`).key }, {}),
    ends: ["tls", "KERB-UP-TLS-OWN"],
  },
  {
    what: "the plain port with mqtts",
    uplink: (stage) => secured(stage, "plain", ca(stage)),
    ends: ["tls", "KERB-UP-TLS-PLAIN"],
  },
  {
    what: "the TLS port with mqtt",
    uplink: (stage) => ({ url: `mqtt://127.0.0.1:${stage.port.tls}`, ...user }),
    ends: ["tls", "KERB-UP-TLS-WANTED"],
  },
  {
    what: "the port for client certificates with mqtt",
    uplink: (stage) => ({ url: `mqtt://127.0.0.1:${stage.port.mutual}`, ...user }),
    ends: ["tls", "KERB-UP-TLS-WANTED"],
  },
  {
    what: "a broker with as many clients as it takes",
    uplink: (stage) => secured(stage, "full", ca(stage)),
    ends: ["tls", "KERB-UP-HUNG-UP"],
  },
  {
    what: "a web server",
    uplink: (stage) => ({ url: `mqtt://127.0.0.1:${stage.port.http}`, ...user }),
    ends: ["login", "KERB-UP-NOT-MQTT"],
  },
  {
    what: "somebody who says nothing",
    uplink: (stage) => ({ url: `mqtt://127.0.0.1:${stage.port.silent}`, ...user }),
    ends: ["login", "KERB-UP-SILENT"],
  },
  {
    what: "somebody who says nothing, asked for TLS",
    uplink: (stage) => secured(stage, "silent", ca(stage)),
    ends: ["tls", "KERB-UP-SILENT"],
  },
];

const isThere = programs.every((path) => path !== undefined);

describe.skipIf(!isThere)("the way to the IOC before mosquitto", () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  }, 60_000);
  afterAll(async () => {
    for (const server of stage.servers) server.close();
    await stage.bench.close();
  });

  const siteOf = (name: string, uplink: Tree, id = gatewayId): string => {
    const file = join(stage.bench.folder, `${name}.yaml`);
    const site = {
      version: 1,
      gateway: { id, name, city, state: `state-${name}` },
      uplinks: [{ id: "ioc", type: "mqtt", ...uplink }],
      devices: [],
    };
    writeFileSync(file, JSON.stringify(site));
    return file;
  };

  /** What a verb says as JSON, and its exit code. */
  const run = async (...argument: string[]) => {
    const program = stage.bench.start(kerb, ...argument, "--json");
    const code = await new Promise<number | null>((resolve) => program.child.once("close", resolve));
    const text = program.lines.find((line) => line.startsWith("{")) ?? program.lines.join("\n");
    return { code, data: (JSON.parse(text) as { data: unknown }).data };
  };
  const ladder = async (file: string) => {
    const { code, data } = await run("upstream", "test", "--site", file);
    const steps = (data as { steps: Step[] }[])[0]?.steps ?? [];
    const failed = steps.find(({ state }) => state === "bad");
    return { code, steps, ends: failed && [failed.step, failed.code] };
  };
  const doctor = async (file: string) => {
    const { data } = await run("doctor", "--site", file);
    return (
      data as { checks: { check: string; state: string; code?: string; seen: string }[] }
    ).checks.filter(({ check }) => check === "uplink");
  };

  for (const protocol of [5, "3.1.1"] as const)
    test.concurrent.for(cases)(
      `$what, MQTT ${protocol}`,
      { timeout: 60_000 },
      async ({ what, uplink, ends }) => {
        const file = siteOf(`${cases.findIndex((one) => one.what === what)}-${protocol}`, {
          ...uplink(stage),
          protocol,
        });
        const [found, [row]] = await Promise.all([ladder(file), doctor(file)]);
        expect(found.ends, JSON.stringify(found.steps)).toEqual(ends);
        expect(found.code).toBe(ends === undefined ? 0 : 5);
        expect(row, JSON.stringify(row)).toMatchObject(
          ends === undefined
            ? { seen: expect.stringMatching(/TLSv1\.[23].*accepted/) }
            : { state: "bad", code: ends[1] },
        );
      },
    );

  test.for([5, "3.1.1"] as const)(
    "a running gateway keeps its session, and its event is confirmed over TLS, MQTT %s",
    { timeout: 120_000 },
    async (protocol) => {
      const name = `running-${protocol}`;
      const id = `cabinet-${protocol === 5 ? 5 : 3}`;
      const certificate = { ...ca(stage), ...stage.authority.issue(id) };
      const file = siteOf(name, secured(stage, "mutual", certificate, { protocol }), id);
      const ioc = stage.authority.issue("ioc");
      const port = await freePort();
      const place = [
        "--broker",
        `mqtts://127.0.0.1:${stage.port.mutual}`,
        "--city",
        city,
        "--name",
        `ioc-${port}`,
      ];
      const files = ["--database", join(stage.bench.folder, `${name}.db`), "--listen", `127.0.0.1:${port}`];
      const tls = ["--ca", stage.authority.ca, "--cert", ioc.cert, "--key", ioc.key];
      const receiver = stage.bench.start(kerb, "receive", ...place, ...files, ...tls, "--ack-interval", "1s");
      const gateway = await stage.bench.run(file, name);
      const linkOf = async () => (await gateway.status()).uplinks[0];
      await gateway.until(({ uplinks: [link] }) => link?.state === "connected" && link.receiver === "online");
      const before = await linkOf();
      const found = await ladder(file);
      expect(found.steps.map(({ step, state }) => `${step} ${state}`)).toEqual(
        // The throw-away certificates are good for two days, which is worth a warning.
        ["name ok", "port ok", "tls warn", "login ok", "receiver ok", "event ok"],
      );
      expect(await doctor(file)).toMatchObject([
        { state: "ok" },
        { state: "warn", seen: expect.stringMatching(/good for 1 d/) },
      ]);
      // What the site file says now is tried too: the next start would fail.
      writeFileSync(
        file,
        JSON.stringify({
          ...(JSON.parse(readFileSync(file, "utf8")) as object),
          uplinks: [
            {
              id: "ioc",
              type: "mqtt",
              ...secured(stage, "tls", ca(stage), { ...user, password: "new", protocol }),
            },
          ],
        }),
      );
      expect(await doctor(file)).toMatchObject([
        { state: "ok" },
        {
          state: "warn",
          code: "KERB-UP-NOT-AUTHORISED",
          seen: expect.stringMatching(/is connected, but a login/),
        },
      ]);
      const after = await linkOf();
      expect({ session: after?.session, sinceMs: after?.sinceMs }).toEqual({
        session: before?.session,
        sinceMs: before?.sinceMs,
      });
      expect(gateway.log(40).filter(({ uplink }) => uplink !== undefined)).toEqual([]);
      await gateway.program.stop();
      await receiver.stop();
    },
  );
});
