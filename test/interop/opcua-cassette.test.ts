import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { ClientSession, INamespace, OPCUAServer } from "node-opcua";
import { startPlayer } from "../../gateway/cassette/player.ts";
import { libraryCassettes, playCassette } from "../../gateway/cli/profile/cassettes.ts";
import { loadCassette } from "../../gateway/cli/profile/load-cassette.ts";
import { Tapes } from "../cassette-rig.ts";
import { freePort } from "../ports.ts";
import { kept, until } from "./opcua-rig.ts";
import { startBroker } from "../../simulators/mqtt/index.ts";
import { loadLibrary } from "../../simulators/opcua/library.ts";
import { programPath, runProgram } from "./processes.ts";

/** Cassettes of OPC UA before others than our own: a server of another make, another client, another decoder. */

const library = await loadLibrary();
const { AttributeIds, DataType, MessageSecurityMode, SecurityPolicy, StatusCodes, VariantArrayType } =
  library;
const tapes = new Tapes();
afterAll(() => tapes.close());

const scale = libraryCassettes().find((file) => file.includes("vehicle-scale"))!;

/** node-opcua's server as its own makers set it up, with nothing of our simulator. */
async function bareServer(build: (own: INamespace) => void): Promise<{ server: OPCUAServer; port: number }> {
  const port = await freePort();
  const server = new library.OPCUAServer({
    port,
    host: "127.0.0.1",
    hostname: "127.0.0.1",
    resourcePath: "/UA/Bare",
  });
  await server.initialize();
  build(server.engine.addressSpace!.getOwnNamespace());
  await server.start();
  kept({ close: () => server.shutdown(0) });
  return { server, port };
}

describe("a server of another make", () => {
  test("is recorded, and told again value by value", { timeout: 90_000 }, async () => {
    const startedMs = Date.now();
    const { server, port } = await bareServer((own) => {
      const device = own.addObject({
        browseName: "Box",
        nodeId: "s=Box",
        organizedBy: own.addressSpace.rootFolder.objects,
      });
      const add = (name: string, dataType: keyof typeof DataType, get: () => unknown, more = {}) =>
        own.addVariable({
          componentOf: device,
          browseName: name,
          nodeId: `s=${name}`,
          dataType,
          minimumSamplingInterval: 50,
          value: {
            get: () =>
              new library.Variant({
                dataType: DataType[dataType],
                arrayType: VariantArrayType.Scalar,
                value: get(),
                ...more,
              }),
          },
        });
      add("Ticks", "UInt32", () => Math.floor((Date.now() - startedMs) / 200));
      add("Long", "Int64", () => [0x7f, 0xffff_fff1]);
      add("Half", "Float", () => 0.5);
      add("Name", "String", () => "Hộp số 7");
      add("When", "DateTime", () => new Date(1_790_000_000_000));
      add("Title", "LocalizedText", () => ({ text: "pump", locale: "en" }));
      add("List", "Double", () => new Float64Array([1.5, 2.5, 3.5]), { arrayType: VariantArrayType.Array });
      const broken = add("Broken", "Double", () => 0);
      broken.setValueFromSource({ dataType: DataType.Double, value: 0 }, StatusCodes.BadSensorFailure);
    });
    const uri = server.engine.addressSpace!.getOwnNamespace().namespaceUri;
    const node = (name: string) => `nsu=${uri};s=${name}`;
    const points = {
      ticks: { address: { node: node("Ticks") }, poll: "push" },
      long: { address: { node: node("Long"), type: "Int64" } },
      half: { address: { node: node("Half") } },
      name: { address: { node: node("Name"), type: "String" }, kind: "text" },
      when: { address: { node: node("When"), type: "DateTime" }, kind: "text" },
      title: { address: { path: "own:Box/own:Title", type: "LocalizedText" }, kind: "text" },
      second: { address: { node: node("List"), index: 1 } },
      broken: { address: { path: "own:Box/own:Broken" } },
      nowhere: { address: { path: "own:Box/own:Nowhere" } },
    };
    const own = { security: "none", host: "127.0.0.1", port, namespaces: { own: uri }, publishing: "200ms" };
    const site = tapes.site("bare.yaml", [{ id: "box", driver: "opcua", ...own, points }]);
    const { cassette, file } = await tapes.record(site, "box", { forMs: 2500 });
    expect(cassette).toMatchObject({ over: "opcua", unstable: [], identity: { vendor: expect.any(String) } });
    const values = Object.entries(cassette.reads.at(-1)!).map(([name, one]) => [name, one.code ?? one.value]);
    expect(Object.fromEntries(values)).toMatchObject({
      half: 0.5,
      name: "Hộp số 7",
      title: "pump",
      second: 2.5,
      nowhere: "BadNoMatch",
    });
    expect(await playCassette(cassette, file)).toEqual({ differences: [], failure: undefined, unknown: 0 });
  });
});

const openClient = async (port: number): Promise<ClientSession> => {
  const client = library.OPCUAClient.create({
    securityMode: MessageSecurityMode.None,
    securityPolicy: SecurityPolicy.None,
    endpointMustExist: false,
    connectionStrategy: { maxRetry: 0 },
  });
  await client.connect(`opc.tcp://127.0.0.1:${port}`);
  const session = await client.createSession();
  kept({ close: () => client.disconnect() });
  kept({ close: () => session.close() });
  return session;
};

describe("a cassette of the library", () => {
  test(
    "answers another client: values, paths, changes, and what is not on it",
    { timeout: 60_000 },
    async () => {
      const cassette = loadCassette(scale);
      const unknown: string[] = [];
      const player = kept(
        await startPlayer(cassette, { gapMsMax: 50, startBroker, log: (text) => unknown.push(text) }),
      );
      const session = await openClient(player.place.port);
      const namespaces = (await session.read({ nodeId: "i=2255", attributeId: AttributeIds.Value })).value
        .value as string[];
      const index = namespaces.indexOf("http://opcfoundation.org/UA/Scales/V2/");
      expect(index).toBeGreaterThan(1);
      const path = library.makeBrowsePath("i=85", `/${index}:CurrentWeight/${index}:TareMode`);
      const { targets } = await session.translateBrowsePath(path);
      const nodeId = targets![0]!.targetId;
      const told: unknown[] = [];
      const times: number[] = [];
      const subscription = await session.createSubscription2({
        requestedPublishingInterval: 100,
        publishingEnabled: true,
      });
      const item = await subscription.monitor(
        { nodeId, attributeId: AttributeIds.Value },
        { samplingInterval: 50, queueSize: 10, discardOldest: true },
        library.TimestampsToReturn.Both,
      );
      item.on("changed", ({ value, sourceTimestamp }) => {
        told.push(value.value);
        times.push(sourceTimestamp!.getTime());
      });
      await until("a value", () => told.length > 0);
      // As old as it was then, and not as old as the recording.
      expect(Math.abs(Date.now() - times[0]!)).toBeLessThan(60_000);
      const gone = await session.read({ nodeId: "ns=1;s=Nowhere", attributeId: AttributeIds.Value });
      expect(gone.statusCode.name).toBe("BadNodeIdUnknown");
      expect(unknown.join()).toContain("Nowhere");
      await expect(session.browse("i=85")).rejects.toThrow(/BadServiceUnsupported/);
    },
  );

  const [tshark, text2pcap] = [programPath("tshark"), programPath("text2pcap")];
  test.skipIf(tshark === undefined || text2pcap === undefined)("is decoded by tshark as it stands", () => {
    const folder = mkdtempSync(join(tmpdir(), "kerb-tshark-"));
    try {
      const [text, pcap] = [join(folder, "x.txt"), join(folder, "x.pcap")];
      const frames = loadCassette(scale).connections.flat();
      // What a cassette leaves out: type, length, channel, token, sequence and request number.
      const chunks = frames.map(({ from, bytes }, i) => {
        const head = Buffer.alloc(24);
        head.write("MSGF");
        [24 + bytes.length, 1, 1, i + 1, i + 1].forEach((one, at) => head.writeUInt32LE(one, 4 + 4 * at));
        const rows = Buffer.concat([head, bytes])
          .toString("hex")
          .match(/.{1,32}/g)!;
        const lines = rows.map(
          (row, at) => `${(16 * at).toString(16).padStart(6, "0")} ${row.replaceAll(/../g, "$& ")}`,
        );
        return `${from === "kerb" ? "O" : "I"}\n${lines.join("\n")}\n`;
      });
      writeFileSync(text, chunks.join("\n"));
      runProgram(text2pcap!, "-D", "-T", "40000,4840", text, pcap);
      const seen = runProgram(tshark!, "-r", pcap, "-d", "tcp.port==4840,opcua", "-V", "-O", "opcua");
      expect(seen).not.toMatch(/malformed|expert info/i);
      for (const name of ["ReadRequest", "ReadResponse", "CreateMonitoredItemsRequest", "PublishResponse"])
        expect(seen).toContain(name);
      expect(seen.match(/Message Type: MSG/g)).toHaveLength(frames.length);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
