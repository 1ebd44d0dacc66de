import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadSite } from "./config.ts";
import { OutboxStore } from "../outbox/store.ts";
import { parseDictionary } from "../receiver/messages.ts";
import { registration } from "./site-devices.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-places-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function site(gateway: string, device: string) {
  const file = join(folder, "site.yaml");
  const text = [
    "version: 1",
    `gateway: { id: gw-1, name: A cabinet, city: hcmc, state: state${gateway} }`,
    "devices:",
    `  - { id: level-01, driver: modbus, profile: dfrobot/sen0676, unit: 1, transport: { type: tcp, host: 127.0.0.1, port: 502 }${device} }`,
  ];
  writeFileSync(file, `${text.join("\n")}\n`);
  return loadSite(file);
}

const messages = async (...given: Parameters<typeof site>) =>
  (await site(...given)).warnings
    .map(({ message, path }) => `${path}: ${message}`)
    .filter((one) => one.includes("location"));

describe("where a device stands", () => {
  it("is its own place, else that of the gateway, else nowhere", async () => {
    const cabinet = ", location: { lat: 21.85, lon: 106.76, address: Tủ 1 }";
    const bridge = ", location: { lat: 21.86, lon: 106.77 }";
    expect((await site(cabinet, bridge)).devices[0]?.location).toEqual({ lat: 21.86, lon: 106.77 });
    expect((await site(cabinet, "")).devices[0]?.location).toEqual({
      lat: 21.85,
      lon: 106.76,
      address: "Tủ 1",
    });
    expect((await site("", "")).devices[0]?.location).toBeUndefined();
  });

  it.each([
    [", location: { lat: 21.85 }", /missing key "lon"/],
    [", location: { lat: 106.76, lon: 21.85 }", /from -90 to 90 .*are they swapped/],
    [", location: { lat: 21.85, lon: 181 }", /180/],
    [", location: { lat: 21.85, lon: 106.76, alt: 3 }", /unknown key "alt"/],
    [", levels: { alert: 3, danger: 2 }", /danger lies below alert/],
  ])("%s is a mistake", async (device, message) => {
    await expect(site("", device)).rejects.toThrow(message);
  });

  it("draws a warning outside of Vietnam", async () => {
    expect(await messages("", ", location: { lat: 12.1, lon: 8.5 }")).toEqual([
      'devices "level-01".location: this does not lie in Vietnam (lat 8 to 24, lon 102 to 118): compare it with a map',
    ]);
    expect(await messages(", location: { lat: 48.1, lon: 11.6 }", "")).toHaveLength(1);
    expect(await messages(", location: { lat: 21.85, lon: 106.76 }", "")).toEqual([]);
  });
});

describe("the dictionary", () => {
  it("carries name, place and levels to the receiver, through a reopening too", async () => {
    const levels = ", levels: { datum: VN-2000/HonDau, alert: 3 }";
    const { devices } = await site(", location: { lat: 21.85, lon: 106.76 }", `, name: Cầu${levels}`);
    const path = join(folder, "outbox.db");
    const store = new OutboxStore({ path, bytesMax: 1 << 20 });
    const before = store.dictionary.hash;
    store.register(devices.map(registration));
    const { hash, json } = store.dictionary.sent;
    expect(hash).not.toBe(before);
    const sent = parseDictionary(Buffer.from(`{"v":1,"dict":"${hash}","devices":${json}}`));
    const known = {
      name: "Cầu",
      place: { lat: 21.85, lon: 106.76 },
      levels: { datum: "VN-2000/HonDau", alert: 3 },
    };
    expect(sent.devices[0]).toMatchObject({ id: "level-01", type: "water-level", ...known });
    const { resume } = store;
    store.close();
    const again = new OutboxStore({ path, bytesMax: 1 << 20, resume });
    expect(again.dictionary.sent).toEqual({ hash, json });
    again.close();
  });

  it("has the bytes that it always had where a site says nothing of places", async () => {
    const { devices } = await site("", "");
    const store = new OutboxStore({ path: join(folder, "plain.db"), bytesMax: 1 << 20 });
    store.register(devices.map(registration));
    expect(Object.keys(JSON.parse(store.dictionary.sent.json)[0] as object)).toEqual([
      "index",
      "id",
      "type",
      "profile",
      "points",
    ]);
    store.close();
  });

  it("is read without what makes no sense, because the values count more", () => {
    const device = {
      index: 1,
      id: "a",
      points: [],
      name: 7,
      place: { lat: 91, lon: 0 },
      levels: { alert: "3" },
    };
    const { devices } = parseDictionary(Buffer.from(JSON.stringify({ dict: "0123abcd", devices: [device] })));
    expect(devices).toEqual([{ index: 1, id: "a", type: "", profile: "", points: [] }]);
  });
});
