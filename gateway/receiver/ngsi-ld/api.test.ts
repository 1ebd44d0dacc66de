import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  EventWriter,
  quality,
  type ClockState,
  type DictionaryDevice,
  type EventKind,
  type QualityDetail,
} from "../../event.ts";
import { encodeCloudEvents } from "../../uplink/cloudevents.ts";
import { encodeColumnar } from "../../uplink/columnar.ts";
import { compress, Dictionary, type EncodingName, type Row } from "../../uplink/encoding.ts";
import { receiverApi, serveApi, type ApiServer } from "../http.ts";
import { Receiver } from "../receiver.ts";
import { city, temporaryFolder } from "../testing.ts";

const place = { lat: 21.8537, lon: 106.7615 };
const devices: DictionaryDevice[] = [
  { index: 0, id: "kerb-ls-001", type: "gateway", profile: "", points: [] },
  {
    index: 1,
    id: "wl-03",
    type: "water-level",
    profile: "dfrobot/sen0676",
    name: "Cầu Kỳ Lừa",
    place,
    levels: { alert: 3, danger: 3.5 },
    points: [
      { index: 10, name: "waterLevel", unit: "m", kind: "number", decimals: 3 },
      { index: 11, name: "distance", unit: "m", kind: "number", decimals: 3 },
    ],
  },
  {
    index: 2,
    id: "ups-01",
    type: "ups",
    profile: "ups/rfc1628",
    place,
    points: [{ index: 20, name: "battery.charge", unit: "%", kind: "number", decimals: 0 }],
  },
];
const atMs = Date.parse("2026-11-21T00:00:00Z");
const gateway = "kerb-ls-001";

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
let server: ApiServer;

async function open(): Promise<void> {
  receiver = new Receiver({ database: folder.file });
  server = await serveApi(receiverApi(receiver), "127.0.0.1:0");
}
beforeEach(async () => {
  folder = temporaryFolder();
  await open();
});
afterEach(async () => {
  await server.close();
  receiver.close();
  folder.remove();
});

function dictionary(hash = "9f3c21aa", list = devices): Buffer {
  return compress(JSON.stringify({ v: 1, dict: hash, devices: list }));
}

interface Sent {
  seq: number;
  device?: number;
  point?: number;
  value?: number | null;
  minute?: number;
  clock?: ClockState;
  kind?: EventKind;
  data?: Record<string, unknown>;
  detail?: QualityDetail;
}

const writer = new EventWriter();

function row({
  seq,
  device = 1,
  point = 10,
  value = 1.69,
  minute = 0,
  clock = "synced",
  kind = "telemetry",
  data,
  detail,
}: Sent): Row {
  writer.begin(kind, device, atMs + minute * 60_000, seq, clock);
  if (kind === "telemetry") {
    writer.count(1);
    writer.reading(point, value, 3, value === null ? quality.bad : 0, detail);
  } else writer.object(data ?? {});
  return { seq, recordedMs: atMs + minute * 60_000 + 500, body: Buffer.from(writer.bytes()) };
}

function take(list: readonly Sent[], encoding: EncodingName = "columnar", from = gateway): void {
  const encode = encoding === "columnar" ? encodeColumnar : encodeCloudEvents;
  const header = {
    city,
    gateway: from,
    epoch: 5,
    lane: "live" as const,
    dictionary: new Dictionary("9f3c21aa", devices),
  };
  expect(receiver.take(from, "live", compress(encode(header, list.map(row))))).toBe("stored");
}

interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
}

async function get(path: string, accept = "application/json") {
  const response = await fetch(`${server.url}/ngsi-ld/v1${path}`, { headers: { accept } });
  const body = (await response.json()) as Record<string, unknown>[] & Record<string, unknown> & Problem;
  return { status: response.status, headers: response.headers, body };
}

const level = `urn:ngsi-ld:FloodMonitoring:${gateway}:wl-03`;

describe("the NGSI-LD view", () => {
  it("gives an entity in both representations, with its context in the body or in a header", async () => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1 }]);
    const simple = await get(`/entities/${level}?options=keyValues`);
    expect(simple.body).toEqual({
      id: level,
      type: "FloodMonitoring",
      observationDateTime: "2026-11-21T00:00:00.000Z",
      currentLevel: 1.69,
      alertLevel: 3,
      dangerLevel: 3.5,
      stationID: "wl-03",
      floodLevelStatus: "Normal",
      name: "Cầu Kỳ Lừa",
      location: { type: "Point", coordinates: [106.7615, 21.8537] },
    });
    expect(simple.headers.get("link")).toContain('rel="http://www.w3.org/ns/json-ld#context"');
    const { body, headers } = await get(`/entities/${level}`, "application/ld+json");
    expect(headers.get("content-type")).toBe("application/ld+json");
    expect(body["currentLevel"]).toEqual({
      type: "Property",
      value: 1.69,
      unitCode: "MTR",
      observedAt: "2026-11-21T00:00:00.000Z",
    });
    expect(body["location"]).toEqual({
      type: "GeoProperty",
      value: { type: "Point", coordinates: [106.7615, 21.8537] },
    });
    const contexts = body["@context"] as string[];
    expect(contexts.at(-1)).toMatch(/ngsi-ld-core-context/);
    const [own = ""] = contexts;
    const terms = (await (await fetch(own)).json()) as { "@context": Record<string, unknown> };
    expect(terms["@context"]).toMatchObject({
      MessageSign: "kerb:MessageSign",
      refDevice: { "@type": "@id" },
    });
  });

  it("lists by type and id, with pages and counts", async () => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1 }, { seq: 2, device: 2, point: 20, value: 97 }]);
    const all = await get("/entities?options=keyValues&count=true");
    expect(all.body.map(({ type }) => type)).toEqual([
      "Device",
      "UninterruptiblePowerSupply",
      "Device",
      "FloodMonitoring",
    ]);
    expect(all.headers.get("ngsild-results-count")).toBe("4");
    const page = await get("/entities?options=keyValues&limit=2&offset=1");
    expect(page.body.map(({ id }) => id)).toEqual(all.body.slice(1, 3).map(({ id }) => id));
    expect((await get("/entities?type=FloodMonitoring,MessageSign")).body.map(({ id }) => id)).toEqual([
      level,
    ]);
    expect((await get(`/entities?type=Device&gateway=other-gw`)).body).toEqual([]);
    expect((await get(`/entities?id=${level},urn:x:y`)).body.map(({ id }) => id)).toEqual([level]);
    const [ups] = (await get("/entities?type=UninterruptiblePowerSupply&options=keyValues")).body;
    expect(ups).toMatchObject({ batteryLevel: 0.97 });
  });

  it.each([
    ["Alert%7CFloodMonitoring", true],
    ["https://smartdatamodels.org/dataModel.Environment/FloodMonitoring", true],
    ["https://uri.etsi.org/ngsi-ld/default-context/FloodMonitoring", true],
    ["urn:kerb:model:MessageSign,https://smartdatamodels.org/dataModel.Environment/FloodMonitoring", true],
    ["https://smartdatamodels.org/dataModel.Device/Device", false],
    ["https://smartdatamodels.org/dataModel.Weather/FloodMonitoring", false],
  ])("knows a type by each of its names: %s", async (type, isThere) => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1 }]);
    const many = await get(`/entities?type=${type}`);
    expect(many.body.some(({ id }) => id === level)).toBe(isThere);
    expect((await get(`/entities/${level}?type=${type}`)).status).toBe(isThere ? 200 : 404);
  });

  it.each(["columnar", "cloudevents"] as const)(
    "keeps the newest observation in any order of arrival (%s)",
    async (encoding) => {
      receiver.dictionary(gateway, dictionary());
      take([{ seq: 7, minute: 7, value: 2.7 }], encoding);
      take([{ seq: 3, minute: 3, value: 2.3 }], encoding);
      // A device that tells late what was: newer number, older observation.
      take(
        [
          { seq: 9, minute: 5, value: 2.5 },
          { seq: 10, minute: 2, point: 11, value: 1.1 },
        ],
        encoding,
      );
      const { body } = await get(`/entities/${level}?options=keyValues`);
      expect(body).toMatchObject({
        currentLevel: 2.7,
        measuredDistance: 1.1,
        observationDateTime: "2026-11-21T00:07:00.000Z",
      });
      take([{ seq: 11, minute: 8, value: null }], encoding);
      expect((await get(`/entities/${level}?options=keyValues`)).body).not.toHaveProperty("currentLevel");
    },
  );

  it("is of the same tables as the receiver's own list of newest values, which goes by number", async () => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 7, minute: 7, value: 2.7 }]);
    take([{ seq: 9, minute: 5, value: 2.5 }]);
    const response = await fetch(`${server.url}/gateways/${gateway}/latest`);
    expect(await response.json()).toMatchObject({ values: [{ seq: 9, value: 2.5 }], behind: false });
    expect((await get(`/entities/${level}?options=keyValues`)).body).toMatchObject({ currentLevel: 2.7 });
  });

  it("loses only the event of a gateway that breaks the format", async () => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1, detail: { reason: 7 } as never }]);
    take([{ seq: 2, value: 1.1, minute: 1 }]);
    expect((await get(`/entities/${level}?options=keyValues`)).body).toMatchObject({ currentLevel: 1.1 });
  });

  it("says that a device or its gateway is away, and goes back to what is true", async () => {
    receiver.dictionary(gateway, dictionary());
    receiver.birth(
      gateway,
      Buffer.from(JSON.stringify({ v: 1, online: true, sess: 1, ep: 5, dict: "9f3c21aa" })),
    );
    take([{ seq: 1 }]);
    const state = async () =>
      (await get(`/entities/urn:ngsi-ld:Device:${gateway}:wl-03?options=keyValues`)).body["deviceState"];
    expect(await state()).toBe("ok");
    const gap = { cause: "device_offline", code: "timeout", from: "", to: "", open: true };
    take([{ seq: 2, minute: 1, kind: "gap", data: gap }]);
    expect(await state()).toBe("offline");
    expect((await get(`/entities/${level}?options=keyValues`)).body["description"]).toBe(
      "Not current: the device is offline since 2026-11-21T00:01:00.000Z.",
    );
    take([{ seq: 3, minute: 2, kind: "gap", data: { ...gap, open: false } }]);
    expect(await state()).toBe("ok");
    receiver.birth(gateway, Buffer.from(JSON.stringify({ v: 1, online: false, sess: 1 })));
    expect(await state()).toBe("gateway-offline");
  });

  it("survives a restart, with batches whose dictionary comes only then", async () => {
    take([{ seq: 1, value: 1.1 }]);
    expect((await get("/entities")).body).toEqual([]);
    await server.close();
    receiver.close();
    await open();
    receiver.dictionary(gateway, dictionary());
    expect((await get(`/entities/${level}?options=keyValues`)).body).toMatchObject({ currentLevel: 1.1 });
    await server.close();
    receiver.close();
    await open();
    expect((await get(`/entities/${level}?options=keyValues`)).body).toMatchObject({ currentLevel: 1.1 });
  });

  it("reads what waited for a dictionary that was stored just before the end", async () => {
    take([{ seq: 1, value: 1.1 }]);
    expect((await get("/entities")).body).toEqual([]);
    receiver.dictionary(gateway, dictionary());
    await server.close();
    receiver.close();
    await open();
    expect((await get(`/entities/${level}?options=keyValues`)).body).toMatchObject({ currentLevel: 1.1 });
  });

  it("takes name and place from the dictionary that is in force, also an old one without them", async () => {
    const bare = devices.map(({ name: _n, place: _p, levels: _l, ...device }) => device);
    const birth = (dict: string) =>
      receiver.birth(gateway, Buffer.from(JSON.stringify({ v: 1, online: true, sess: 1, ep: 5, dict })));
    receiver.dictionary(gateway, dictionary("00000001", bare));
    take([{ seq: 1 }], "cloudevents");
    expect((await get(`/entities/${level}?options=keyValues`)).body).not.toHaveProperty("location");
    receiver.dictionary(gateway, dictionary("00000002"));
    expect((await get(`/entities/${level}?options=keyValues`)).body).toMatchObject({
      location: { type: "Point" },
    });
    // Back to what it was: the dictionary is known, so only the birth says it.
    await new Promise((resolve) => setTimeout(resolve, 5));
    birth("00000001");
    receiver.dictionary(gateway, dictionary("00000001", bare));
    expect((await get(`/entities/${level}?options=keyValues`)).body).not.toHaveProperty("location");
  });

  it("gives values alone by each of the words for it, and says how many there are", async () => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1 }]);
    const simple = (await get(`/entities/${level}?options=keyValues`)).body;
    for (const query of ["options=simplified", "format=simplified", "format=keyValues&type=FloodMonitoring"])
      expect((await get(`/entities/${level}?${query}`)).body, query).toEqual(simple);
    const whole = (await get(`/entities/${level}`)).body;
    for (const query of ["options=normalized", "format=normalized"])
      expect((await get(`/entities/${level}?${query}`)).body, query).toEqual(whole);
    expect(whole).not.toEqual(simple);
    const none = await get("/entities?count=true&limit=0");
    expect(none.body).toEqual([]);
    expect(none.headers.get("ngsild-results-count")).toBe("2");
    expect((await get("/entities?count=false")).headers.has("ngsild-results-count")).toBe(false);
  });

  it.each([
    ["/entities?typ=Device", "BadRequestData", '"typ" is unknown - did you mean "type"?'],
    ["/entities?colour=red", "BadRequestData", '"colour" is unknown; this view knows "type", '],
    [
      "/entities?attrs=name",
      "OperationNotSupported",
      '"attrs" is not supported here; this view knows "type", ',
    ],
    [`/entities/${level}?limit=3`, "OperationNotSupported", '"limit" is not supported here; '],
    ["/entities?count=yes", "BadRequestData", '"count" must be "true" or "false", not "yes".'],
    [
      "/entities?options=count",
      "BadRequestData",
      '"options=count" is unknown; this view knows "normalized", ',
    ],
    ["/entities?options=sysAttrs", "OperationNotSupported", '"options=sysAttrs" is not supported here; '],
    [
      `/entities/${level}?format=concise`,
      "OperationNotSupported",
      '"format=concise" is not supported here; ',
    ],
    ["/entities?options=keyValues&format=normalized", "BadRequestData", "two representations at once."],
    ["/entities?type=Device&type=Alert", "BadRequestData", '"type" is given more than once.'],
    ["/entities?type=", "BadRequestData", '"type" is empty; '],
    ["/entities?type=(Device)", "OperationNotSupported", '"type" with "(" is not supported here; '],
    ["/entities?type=Device;Alert", "OperationNotSupported", '"type" with ";" is not supported here; '],
    ["/entities?id=notauri", "BadRequestData", '"id" must be a URI, not "notauri".'],
    [`/entities/${level}?type=Device`, "ResourceNotFound", 'is of the type "FloodMonitoring".'],
  ])("%s is a problem that names the parameter", async (path, name, detail) => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1 }]);
    const { status, body } = await get(path);
    expect(body.detail).toContain(detail);
    expect(body).toMatchObject({ type: `https://uri.etsi.org/ngsi-ld/errors/${name}`, status });
    expect(status).toBe({ BadRequestData: 400, OperationNotSupported: 422, ResourceNotFound: 404 }[name]);
  });

  it.each([
    ["/entities?q=temperature>20", 422, "OperationNotSupported"],
    ["/entities?limit=0", 400, "BadRequestData"],
    ["/entities?limit=1001", 400, "BadRequestData"],
    ["/entities?offset=-1", 400, "BadRequestData"],
    ["/entities/7", 400, "BadRequestData"],
    [`/entities/urn:ngsi-ld:Device:${gateway}:none`, 404, "ResourceNotFound"],
    [`/entities/urn:ngsi-ld:WeatherObserved:${gateway}:wl-03`, 404, "ResourceNotFound"],
    ["/subscriptions", 404, "OperationNotSupported"],
  ])("%s is a problem: %i %s", async (path, status, name) => {
    receiver.dictionary(gateway, dictionary());
    take([{ seq: 1 }]);
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({ type: `https://uri.etsi.org/ngsi-ld/errors/${name}`, status });
    expect(answer.body.detail).toMatch(/\.$/);
  });

  it("is read only", async () => {
    const response = await fetch(`${server.url}/ngsi-ld/v1/entities`, { method: "POST", body: "{}" });
    expect(response.status).toBe(405);
    expect(await response.json()).toMatchObject({
      type: "https://uri.etsi.org/ngsi-ld/errors/OperationNotSupported",
    });
    expect((await get("/entities", "text/turtle")).status).toBe(406);
  });
});
