import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { driver } from "../drivers/serial/index.ts";
import { address, settings } from "../drivers/serial/settings.ts";
import { loadSite } from "../gateway/config/config.ts";
import { Push } from "../gateway/host/push.ts";
import type { HostDevice } from "../gateway/host/messages.ts";
import {
  loadProfile,
  mergeSettings,
  simulatedPoints,
  simulatedRecords,
} from "../gateway/profiles/profiles.ts";
import { start } from "../simulators/serial/index.ts";

/** A weigh-in-motion station through simulator, driver and host: what of a person leaves the box. */

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const profile = loadProfile("generic/wim-json");

async function ticketsOf(personalData: HostDevice["personalData"]): Promise<string> {
  const transport = { type: "tcp", host: "127.0.0.1", port: 0 };
  const simulator = await start({
    profile: profile.id,
    points: simulatedPoints(profile),
    records: simulatedRecords(profile),
    settings: mergeSettings(profile.settings, { transport, station: "1" }),
    identity: {},
  });
  open.push(simulator);
  const port = Number(/:(\d+)/.exec(simulator.address)?.[1]);
  const parsed = settings.parse(
    mergeSettings(profile.settings, { transport: { ...transport, port }, station: "1" }),
  );
  const context = { deviceId: "wim", log: () => {} };
  const connection = await driver.connect(parsed, context, new AbortController().signal);
  open.push(connection);
  const records = profile.records.map((record) => ({
    ...record,
    address: address.parse(record.address),
    fields: record.fields.map((field) => ({ ...field, address: address.parse(field.address) })),
  }));
  const events: Record<string, unknown>[] = [];
  const device = { records, personalData, silenceMs: 0 } as unknown as HostDevice;
  const push = new Push(device, [], {
    heard: () => {},
    telemetry: () => {},
    event: (kind, data) => void events.push({ kind, ...data }),
    poll: () => {},
  });
  const stop = new AbortController();
  const done = connection.subscribe!({ points: [], records, sink: push, signal: stop.signal });
  for (let i = 0; i < 50 && events.length === 0; i++) {
    simulator.tell?.("ticket", { plate: "51C-123.45" });
    await sleep(100);
  }
  stop.abort();
  await done;
  expect(events[0]).toMatchObject({ kind: "transaction", record: "ticket", privacy: "personal" });
  return JSON.stringify(events);
}

test("a plate leaves as a token, or not at all, and the driver's name and licence never", async () => {
  const person = /Nguy|790123456789/;
  const token = await ticketsOf({ how: "token", key: "secret" });
  expect(token).toMatch(/"plate":\{"token":"hmac-sha256:/);
  expect(token).not.toMatch(/51C|123\.?45|51R/);
  expect(token).not.toMatch(person);
  const dropped = await ticketsOf({ how: "drop" });
  expect(dropped).not.toMatch(/plate|51C|51R/i);
  expect(dropped).not.toMatch(person);
  // Even where a legal basis lets the plate leave, nobody has asked for the person at the wheel.
  const clear = await ticketsOf({ how: "clear", legalBasis: "Quyết định 12/2026/QĐ-UBND" });
  expect(clear).toMatch(/"plate":\{"value":"51C-123.45"\}/);
  expect(clear).not.toMatch(person);
});

test("the devices of the driver's sample.yaml are a site", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kerb-serial-site-"));
  open.push({ close: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })) });
  const sample = readFileSync(
    fileURLToPath(new URL("../drivers/serial/sample.yaml", import.meta.url)),
    "utf8",
  );
  const head = `version: 1
gateway: { id: box, name: Box, city: demo, state: ${folder}/state }
uplinks: [{ id: ioc, type: mqtt, url: "mqtt://127.0.0.1:1883" }]
`;
  writeFileSync(join(folder, "gateway.yaml"), head + sample);
  const site = await loadSite(join(folder, "gateway.yaml"));
  expect(site.devices.map(({ id }) => id)).toEqual([
    "pm-school-1",
    "ozone-park",
    "scale-gate-2",
    "wim-highway-5",
  ]);
  const grammar = site.devices[2]?.settings["grammar"] as { frames: { weight: { settled: object } } };
  expect(grammar.frames.weight.settled).toMatchObject({ above: 500, below: 100 });
  expect(site.devices[3]).toMatchObject({ silenceMs: 600_000 });
});
