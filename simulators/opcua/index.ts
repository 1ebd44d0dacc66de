import type { OPCUACertificateManager, OPCUAServer } from "node-opcua";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WriteLog, type Simulator, type StartSimulator } from "../simulator.ts";
import { Becoming } from "./becoming.ts";
import { applicationUri, pretendIdentity } from "./certificate.ts";
import { Front } from "./front.ts";
import { loadLibrary, type Library } from "./library.ts";
import { Space, type Naming } from "./space.ts";

export { startRecorded } from "./recorded.ts";

/** A device's settings as `drivers/opcua/settings.ts` parses them, as far as a pretend device needs them. */
interface Settings extends Naming {
  endpoint?: string;
  port?: number;
  path?: string;
  user?: string;
  password?: string;
  certificate?: string;
}

/** A running pretend server, with what its own tests look at. */
export interface OpcuaSimulator extends Simulator {
  tell: NonNullable<Simulator["tell"]>;
  readonly server: OPCUAServer;
  readonly space: Space;
  /** SHA-256 of the certificate, for the setting `pin`. */
  readonly fingerprint: string;
  /** Sessions that the server keeps now. */
  readonly sessions: number;
  /** Cuts all connections, as a switch that restarts does. */
  cut(): void;
  /** Answers of this type that are lost at the server itself from now on, before they have a number. */
  lose(responseName: string, count: number): void;
  /** No message is kept to be sent again from now on. */
  forget(): void;
}

const defaultDelayMs = 2000;
/** What is done for the device; the rest is housekeeping of the connection. */
const counted = /^(Read|Write|Call|Browse|TranslateBrowsePaths|HistoryRead)/;

const folderName = "kerb-opcua-simulator-";

/** Removes what processes that were killed have left. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(folderName) ? Number.parseInt(name.slice(folderName.length), 10) : NaN;
    if (!Number.isNaN(pid) && !existsSync(`/proc/${pid}`))
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

let certificates: Promise<OPCUACertificateManager> | undefined;

/** The certificate of all pretend servers, in a folder that goes with this process. */
function certificatesOf(library: Library): Promise<OPCUACertificateManager> {
  certificates ??= (async () => {
    sweep();
    const folder = mkdtempSync(join(tmpdir(), `${folderName}${process.pid}-`));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const { key, certificate } = pretendIdentity();
    for (const name of ["own/private", "own/certs"]) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, "own/private/private_key.pem"), key, { mode: 0o600 });
    writeFileSync(join(folder, "own/certs/certificate.pem"), certificate);
    const manager = new library.OPCUACertificateManager({
      rootFolder: folder,
      automaticallyAcceptUnknownCertificate: true,
    });
    await manager.initialize();
    // Each server disposes of it when it ends.
    manager.referenceCounter += 1_000_000;
    return manager;
  })();
  return certificates;
}

/**
 * Starts a pretend OPC UA server on 127.0.0.1 with the nodes that the profile names. It offers no security and
 * Basic256Sha256, and takes anybody, the user of the settings, or any user's certificate.
 */
export const start: StartSimulator = async (options) => {
  const library = await loadLibrary();
  const settings = options.settings as Settings;
  const { seed = 1, log = () => {} } = options;
  const [, endpointPort] = /:(\d+)(?:\/|$)/.exec(settings.endpoint?.slice("opc.tcp://".length) ?? "") ?? [];
  const front = new Front("127.0.0.1", Number(endpointPort ?? settings.port ?? 0), seed);
  await front.open();
  try {
    return await serve(library, front, settings, { ...options, seed, log });
  } catch (error) {
    front.close();
    throw error;
  }
};

async function serve(
  library: Library,
  front: Front,
  settings: Settings,
  options: Parameters<StartSimulator>[0],
): Promise<OpcuaSimulator> {
  const { identity, recordEveryMs = 0 } = options;
  const manager = await certificatesOf(library);
  const { MessageSecurityMode, SecurityPolicy } = library;
  const server = new library.OPCUAServer({
    port: 0,
    host: "127.0.0.1",
    hostname: "127.0.0.1",
    resourcePath: settings.path ?? "",
    advertisedEndpoints: `opc.tcp://127.0.0.1:${front.port}`,
    nodeset_filename: [library.nodesets.standard],
    serverCertificateManager: manager,
    userCertificateManager: manager,
    allowAnonymous: true,
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    userManager: {
      isValidUser: (user: string, password: string) =>
        user === settings.user && password === settings.password,
    },
    serverInfo: { applicationUri, applicationName: { text: identity.model ?? "simulator" } },
    buildInfo: {
      manufacturerName: identity.vendor ?? "",
      productName: identity.model ?? "",
      softwareVersion: identity.firmware ?? "",
      buildNumber: identity.serial ?? "",
    },
  });
  await server.initialize();
  const { addressSpace } = server.engine;
  if (addressSpace === null) throw new Error("the server has no address space");
  const space = new Space(library, addressSpace, settings, options);
  const counts = { requests: 0, errors: 0 };
  const becoming = new Becoming(library, server, manager.rootDir, identity, () => front.cut());
  server.on("request", (request) => {
    becoming.look();
    if (counted.test(request.schema.name)) counts.requests++;
  });
  const writes = new WriteLog(counts);
  server.on("response", (response) => {
    const { name } = response.schema;
    const results = (response as { results?: readonly { name?: string; statusCode?: { name: string } }[] })
      .results;
    if (name === "WriteResponse" || name === "CallResponse")
      for (const one of results ?? []) {
        const status = one.statusCode?.name ?? one.name ?? "";
        writes.add(`${name}: ${status}`, status === "Good");
      }
    if (response.schema.name === "ServiceFault") counts.errors++;
  });
  const lost = new Map<string, number>();
  loseAnswers(server, lost);
  await server.start();
  front.passTo(portOf(server));
  const telling = recordEveryMs === 0 ? undefined : setInterval(() => tellAll(space), recordEveryMs);
  telling?.unref();
  let closing: Promise<void> | undefined;
  return {
    server,
    space,
    counts,
    writes,
    address: `127.0.0.1:${front.port}`,
    fingerprint: fingerprintOf(server),
    get sessions() {
      return server.currentSessionCount;
    },
    set: (point, value) => space.set(point, value),
    tell: (record, values) => space.tell(record, values),
    cut: () => front.cut(),
    lose: (name, count) => void lost.set(name, count),
    forget: () => forgetMessages(library, server),
    fault(fault, delayMs = defaultDelayMs) {
      space.clock(fault === "clockWrong");
      if (fault === "restart") forgetSessions(server);
      front.fault(fault, delayMs);
    },
    close() {
      closing ??= (async () => {
        clearInterval(telling);
        space.close();
        front.close();
        await server.shutdown(0);
      })();
      return closing;
    },
  };
}

function tellAll(space: Space): void {
  for (const record of space.recordNames) space.tell(record);
}

function portOf(server: OPCUAServer): number {
  return server.endpoints[0]?.port ?? 0;
}

function fingerprintOf(server: OPCUAServer): string {
  return createHash("sha256").update(server.getCertificate()).digest("hex");
}

/** A server that has restarted knows none of its sessions. */
function forgetSessions(server: OPCUAServer): void {
  const { engine } = server as unknown as {
    engine: {
      _sessions: Record<string, { authenticationToken: unknown }>;
      closeSession(token: unknown, deleteSubscriptions: boolean, reason: string): void;
    };
  };
  for (const { authenticationToken } of Object.values(engine._sessions))
    engine.closeSession(authenticationToken, true, "Terminated");
}

function forgetMessages(library: Library, server: OPCUAServer): void {
  const { ServiceFault, StatusCodes } = library;
  const own = server as unknown as {
    _on_RepublishRequest(message: never, channel: { send_response: Send }): void;
  };
  own._on_RepublishRequest = (message, channel) => {
    const responseHeader = { serviceResult: StatusCodes.BadMessageNotAvailable };
    channel.send_response("MSG", new ServiceFault({ responseHeader }), message, () => {});
  };
}

type Send = (
  type: string,
  response: { schema: { name: string } },
  message: unknown,
  done: () => void,
) => void;

function loseAnswers(server: OPCUAServer, lost: Map<string, number>): void {
  server.on("newChannel", (channel) => {
    const own = channel as unknown as { send_response: Send };
    const send = own.send_response.bind(channel);
    own.send_response = (type, response, message, done) => {
      const left = lost.get(response.schema.name) ?? 0;
      if (left === 0) return send(type, response, message, done);
      lost.set(response.schema.name, left - 1);
      done?.();
    };
  });
}
