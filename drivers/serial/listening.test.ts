import { afterEach, describe, expect, test } from "vitest";
import type { Answer, Connection } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import type { Address } from "./settings.ts";
import {
  codeOf,
  connectTo,
  Ear,
  patient,
  pointsOf,
  profileFile,
  recordsOf,
  scriptedServer,
  settingsOf,
  until,
  type ScriptedServer,
} from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

interface Heard {
  server: ScriptedServer;
  connection: Connection<Address>;
  ear: Ear;
  stop: AbortController;
  done: Promise<string>;
}

async function hear(
  profile: string,
  more: Record<string, unknown> = {},
  known?: ScriptedServer,
): Promise<Heard> {
  const server = known ?? (await scriptedServer(() => undefined));
  if (known === undefined) open.push(server);
  const connection = await connectTo(settingsOf(profile, server.port, more));
  open.push(connection);
  const ear = new Ear();
  const stop = new AbortController();
  const points = pointsOf(Object.values(profileFile(profile).points).map(({ address }) => address));
  const done = codeOf(
    connection.subscribe!({ points, records: recordsOf(profile), sink: ear, signal: stop.signal }),
  );
  await until("a connection", () => server.sockets.size > 0);
  return { server, connection, ear, stop, done };
}

const quiet = () => new Promise((resolve) => setTimeout(resolve, 60));
const weight = (motion: string, kilograms: number) => `${motion},GS${String(kilograms).padStart(8)},kg\r\n`;

const weighings = ({ ear }: Heard) => ear.records.map(({ answers }) => answers);

describe("a weighing", () => {
  test("is told once, when the scale is empty again, with the weight that stood still last", async () => {
    const heard = await hear("tiger/ti-02-p");
    const { server } = heard;
    server.say(weight("ST", 0) + weight("US", 300) + weight("ST", 240) + weight("US", 520));
    server.say(weight("ST", 512.5) + weight("ST", 512.5) + weight("US", 400));
    await until("readings", () => heard.ear.told.length === 7);
    expect(weighings(heard)).toEqual([]);
    server.say(weight("US", 1) + weight("ST", 0));
    await until("a weighing", () => heard.ear.records.length > 0);
    server.say(weight("ST", 1) + weight("US", 700) + weight("ST", 730) + weight("ST", 0));
    await until("another weighing", () => heard.ear.records.length > 1);
    expect(weighings(heard)).toEqual([
      [512.5, "GS"],
      [730, "GS"],
    ]);
  });

  test("goes on over a reconnect, whichever part of it was missed", async () => {
    for (const [before, after, told] of [
      [weight("US", 900), weight("ST", 1200) + weight("ST", 0), 1200],
      [weight("US", 900) + weight("ST", 1200), weight("ST", 0), 1200],
      ["", weight("ST", 512) + weight("US", 1), 512],
    ] as const) {
      const first = await hear("tiger/ti-02-p");
      first.server.say(weight("ST", 0) + before);
      await until("readings", () => first.ear.told.length >= (before === "" ? 1 : 2));
      await first.connection.close();
      await until("the end of the connection", () => first.server.sockets.size === 0);
      const second = await hear("tiger/ti-02-p", {}, first.server);
      second.server.say(after);
      await until("a weighing", () => second.ear.records.length > 0);
      expect(weighings(second).map(([value]) => value)).toEqual([told]);
    }
  });

  test("in another unit is none", async () => {
    const { server, ear } = await hear("tiger/ti-02-p");
    server.say(weight("ST", 0) + "ST,GS   512.5,lb\r\n" + weight("ST", 0));
    await until("three readings", () => ear.told.length > 2);
    expect(ear.records).toEqual([]);
    expect(ear.told[1]![0]!.answer).toMatchObject({ value: null, code: "scale-unit-lb" });
  });
});

const ticket = (more: Record<string, unknown>) =>
  `${JSON.stringify({
    type: "ticket",
    station: "1",
    seq: 1,
    time: "2026-03-04T06:00:00",
    plate: "51C-123.45",
    gross: 21.3,
    axles: [{ weight: 6.1, after: 5.8 }],
    driver: { name: "Nguyen Van An", licence: "790123456789" },
    ...more,
  })}\n`;
const valueOf = (answer: Answer | undefined) => (typeof answer === "object" ? answer.value : answer);
const indexOf = (field: string) =>
  recordsOf("generic/wim-json")[0]!.fields.findIndex(({ name }) => name === field);

describe("tickets", () => {
  test("say how many numbers are missing before them, and a repeated one is no second vehicle", async () => {
    const { server, ear } = await hear("generic/wim-json", { station: "1" });
    const missed = indexOf("missed");
    server.say([7, 8, 8, 11, 12, 2, 3].map((seq) => ticket({ seq })).join(""));
    await until("six tickets", () => ear.records.length >= 6);
    await quiet();
    expect(
      ear.records.map(({ answers }) => [valueOf(answers[indexOf("sequence")]), answers[missed]]),
    ).toEqual([
      // What was before the first one is not known, nor how many a restart has cost.
      [7, undefined],
      [8, 0],
      [11, 2],
      [12, 0],
      [2, undefined],
      [3, 0],
    ]);
    expect(ear.records[0]!.sourceTimeMs).toBe(Date.UTC(2026, 2, 3, 23, 0));
    expect(ear.records[0]!.answers[indexOf("axle2.weight")]).toBeUndefined();
  });

  test("that a reconnect has cost are missed, and the one that is sent again after it is told once", async () => {
    const first = await hear("generic/wim-json", { station: "1" });
    first.server.say(ticket({ seq: 100 }));
    await until("a ticket", () => first.ear.records.length === 1);
    await first.connection.close();
    await until("the end of the connection", () => first.server.sockets.size === 0);
    const { server, ear } = await hear("generic/wim-json", { station: "1" }, first.server);
    server.say(ticket({ seq: 100 }) + ticket({ seq: 150 }));
    // After a restart the same number may be another vehicle's.
    server.say(ticket({ seq: 150, time: "2026-03-04T07:00:00" }));
    await until("two tickets", () => ear.records.length >= 2);
    const of = (field: string) => ear.records.map(({ answers }) => valueOf(answers[indexOf(field)]));
    expect([of("sequence"), of("missed")]).toEqual([
      [150, 150],
      [49, undefined],
    ]);
  });

  test("say that they have more axle groups than are read, and whether they are fit for legal use", async () => {
    const { server, ear } = await hear("generic/wim-json", { station: "1" });
    const axles = Array.from({ length: 8 }, (_, i) => ({ type: "single", weight: i }));
    server.say(ticket({ axles, legalUse: true, tanker: false }));
    await until("a ticket", () => ear.records.length > 0);
    const of = (field: string) => valueOf(ear.records[0]!.answers[indexOf(field)]);
    expect(["axleGroupCount", "axle6.weight", "legalUse", "tanker"].map(of)).toEqual([8, 5, true, false]);
  });

  test("of another station are signs of life for nobody here", async () => {
    const { server, ear } = await hear("generic/wim-json", { station: "1" });
    server.say(ticket({ station: "2" }) + ticket({ seq: 5 }));
    await until("a ticket", () => ear.records.length > 0);
    expect(ear.signs).toBe(1);
  });

  test("carry nothing of the driver out of the parser", async () => {
    const { server, ear } = await hear("generic/wim-json", { station: "1" });
    server.say(ticket({}));
    await until("a ticket", () => ear.records.length > 0);
    expect(JSON.stringify(ear.records)).toContain("51C-123.45");
    expect(JSON.stringify(ear.records)).not.toMatch(/Nguyen|790123456789/);
  });
});

const row = (time: string) => `${time}, 18.3, 21.0, 0.0, 16.7, 27.1, 80, 758.2, 31.0, 33\r\n`;

test("the line of column names is no row", async () => {
  const { server, ear } = await hear("met-one/bam-1022");
  server.say("Time, ConcRT, ConcHR, ConcS, Flow, AT, RH, BP, FT, FRH\r\n");
  server.say(row("2026-03-04 06:00:00"));
  await until("a row", () => ear.told.length >= 1);
  expect(ear.values.get(0)).toMatchObject({ value: 18.3, sourceTimeMs: Date.UTC(2026, 2, 3, 23, 0) });
  // The host tells each once, also after a reconnect.
  expect(Object.values(profileFile("met-one/bam-1022").points).every(({ once }) => once === true)).toBe(true);
});

test("nothing but garbage ends a subscription, noise between frames does not", async () => {
  const { server, ear, done } = await hear("generic/nmea-weather");
  const noise = Buffer.alloc(2000, 0x55);
  const wind = "$WIMWV,214.8,R,0.1,M,A*2E\r\n";
  for (let i = 0; i < 4; i++) {
    server.say(noise);
    server.say(wind);
    await until("a reading", () => ear.told.length > i);
  }
  server.say(noise);
  server.say(noise);
  server.say(noise);
  expect(await done).toBe("garbage");
});

const sum = (body: string) => [...Buffer.from(body)].reduce((all, byte) => all ^ byte, 0);

test("frames that nobody reads are no garbage where they are whole", async () => {
  const body = "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,";
  const sentence = `$${body}*${sum(body).toString(16).toUpperCase().padStart(2, "0")}\r\n`;
  const keepAlive = `${JSON.stringify({ type: "keepalive", station: "1", text: "ok" })}\n`;
  for (const [profile, text] of [
    ["generic/nmea-weather", sentence],
    ["generic/wim-json", keepAlive],
  ] as const) {
    const { server, stop, done } = await hear(profile, { station: "1" });
    for (let i = 0; i < 10; i++) {
      server.say(text.repeat(Math.ceil(4096 / text.length)));
      await quiet();
    }
    stop.abort();
    expect(await done).toBe("resolved");
  }
});

test("a ticket that is too long costs itself, and neither the connection nor the next one", async () => {
  const { server, ear } = await hear("generic/wim-json", { station: "1" });
  const long = (seq: number, bytes: number) => ticket({ seq, photo: "A".repeat(bytes) });
  server.say(long(1, 6000) + long(2, 60_000) + long(3, 60_000) + ticket({ seq: 4 }));
  await until("two tickets", () => ear.records.length >= 2);
  expect(ear.records.map(({ answers }) => answers[indexOf("sequence")])).toMatchObject([
    { value: 1 },
    { value: 4 },
  ]);
  expect(ear.records[1]!.answers[indexOf("missed")]).toBe(2);
});

test("a point that has to be asked for is left to the polls, and what is told cannot be asked for", async () => {
  const server = await scriptedServer(() => undefined);
  open.push(server);
  const connection = await connectTo(settingsOf("generic/nmea-weather", server.port));
  open.push(connection);
  const ear = new Ear();
  const stop = new AbortController();
  const points = pointsOf([
    { request: "data", field: "value" },
    { frame: "wind", field: "windSpeed" },
  ]);
  const done = connection.subscribe!({ points, records: [], sink: ear, signal: stop.signal });
  expect(ear.polled).toEqual([0]);
  expect(await codeOf(connection.read([points[1]!], { signal: patient() }))).toBe("unsupported");
  stop.abort();
  await done;
});

test("two stations on one line hear their own, and the end of the line ends both", async () => {
  const a = await hear("generic/wim-json", { station: "1" });
  const b = await hear("generic/wim-json", { station: "2" }, a.server);
  expect(a.server.sockets.size).toBe(1);
  a.server.say(ticket({ station: "1", gross: 1 }) + ticket({ station: "02", gross: 2 }));
  await until("a ticket each", () => a.ear.records.length + b.ear.records.length === 2);
  const gross = indexOf("grossWeight");
  expect([a, b].map(({ ear }) => valueOf(ear.records[0]?.answers[gross]))).toEqual([1, 2]);
  for (const socket of a.server.sockets) socket.destroy();
  expect([await a.done, await b.done]).toEqual(["hung-up", "hung-up"]);
  expect(
    await codeOf(a.connection.read(pointsOf([{ request: "x", field: "y" }]), { signal: patient() })),
  ).toBe("hung-up");
});

test("an address is described as a technician knows it", () => {
  expect(driver.describe({ request: "data", item: "001", field: "value" })).toBe(
    "request data item 001 value",
  );
  expect(driver.describe({ frame: "ticket" })).toBe("frame ticket");
});
