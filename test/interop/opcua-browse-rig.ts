import type { INamespace, UAObject, UAVariable } from "node-opcua";
import { createRequire } from "node:module";
import type { Address } from "../../drivers/opcua/settings.ts";
import type { Browsed, BrowseRequest, Connection, LeftOut } from "../../gateway/driver.ts";
import type { OpcuaSimulator } from "../../simulators/opcua/index.ts";
import { loadLibrary } from "../../simulators/opcua/library.ts";
import { kept, connectTo, patient, settingsOf, startServer } from "./opcua-rig.ts";

/** What the tests of `browse` share: node-opcua's server, the services that it was asked for, and a listing. */

export const library = await loadLibrary();
export const { DataType, StatusCodes } = library;

/** What the library's types leave out of a namespace. */
type DataAccess = Record<
  "addAnalogDataItem" | "addMultiStateDiscrete" | "addTwoStateDiscrete",
  (options: object) => UAVariable
>;

/** The attribute (OPC 10000-6, A.1). */
export const dataTypeDefinition = 23;
/** Parts of the library that it does not show. */
export const inside = createRequire(createRequire(import.meta.url).resolve("node-opcua"));
export const { StructureDefinition, StructureType } = inside("node-opcua-types") as {
  StructureDefinition: new (fields: object) => object;
  StructureType: { Structure: number };
};

/** A server and the names of the services that it was asked for. */
export async function served() {
  const server = kept(await startServer({}));
  const asked: { name: string; size: number }[] = [];
  server.server.on("request", (request) => {
    const { nodesToRead, nodesToBrowse, continuationPoints } = request as unknown as Record<
      string,
      unknown[] | undefined
    >;
    const size = (nodesToRead ?? nodesToBrowse ?? continuationPoints ?? []).length;
    asked.push({ name: request.schema.name.replace(/Request$/, ""), size });
  });
  const { addressSpace } = server.server.engine;
  const own = addressSpace!.registerNamespace("urn:kerb:test") as INamespace & DataAccess;
  const objects = addressSpace!.rootFolder.objects;
  const folder = (name: string, parent?: UAObject) =>
    own.addObject({
      browseName: name,
      nodeId: `s=${name}`,
      ...(parent === undefined ? { organizedBy: objects } : { componentOf: parent }),
    });
  return { server, asked, addressSpace: addressSpace!, own, objects, folder };
}

export async function connected(server: OpcuaSimulator, more: Record<string, unknown> = {}) {
  return kept(await connectTo(settingsOf(server, { timeout: 10_000, ...more })));
}

type Listed = { entries: Browsed[]; left: LeftOut[] };

export async function listed(
  connection: Connection<Address>,
  more: Partial<BrowseRequest> = {},
  until_ = 60_000,
): Promise<Listed> {
  const found: Listed = { entries: [], left: [] };
  const request = {
    entriesMax: 20_000,
    depthMax: 20,
    untilMs: performance.now() + until_,
    signal: patient(),
    ...more,
  };
  for await (const one of connection.browse!(request)) {
    if ("left" in one) found.left.push(one);
    else found.entries.push(one);
  }
  return found;
}

export const named = ({ entries }: Listed, name: string): Browsed | undefined =>
  entries.find(({ path }) => path.at(-1) === name);
export const namesOf = ({ entries }: Listed): string[] => entries.map(({ path }) => path.join("/"));

/** What is not listed of any server. */
export const standard = ["i=2253", "i=23470"].map((place) => ({ left: "standard", branches: 1, place }));
export const celsius = { namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact", unitId: 4_408_652 };

/** Makes the server give few references at a time. */
export function paging(server: OpcuaSimulator, size: number): void {
  server.server.on("request", (request) => {
    const browse = request as unknown as { requestedMaxReferencesPerNode?: number };
    if (browse.requestedMaxReferencesPerNode !== undefined) browse.requestedMaxReferencesPerNode = size;
  });
}

/** Continuation points that the server's sessions keep. */
export function keptPoints(server: OpcuaSimulator): number {
  const { _sessions } = server.server.engine as unknown as {
    _sessions: Record<string, { continuationPointManager: { _map: Map<string, unknown> } }>;
  };
  return Object.values(_sessions).reduce((sum, { continuationPointManager: { _map } }) => sum + _map.size, 0);
}
