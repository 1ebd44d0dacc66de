import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Box } from "./box.ts";

/** `kerb read` and `kerb tail` with a device that pushes: real commands, a driver of its own, a socket. */

const settings = `
import { z } from "zod";
export const settings = z.strictObject({ host: z.string().default("127.0.0.1"), port: z.int(), readable: z.boolean().default(true) });
export const address = z.strictObject({ key: z.string() });
`;
/** A line of JSON for each thing that the device tells: \`{"level": 3}\`, \`{"weighing": {"gross": 7}}\`. */
const driver = `
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { DeviceError } from "../../gateway/driver.ts";
export const driver = {
  name: "tell",
  describe: ({ key }) => \`key \${key}\`,
  connect: async ({ port, readable }) => {
    let isReadable = readable;
    const socket = connect(port, "127.0.0.1");
    await new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", () => reject(new DeviceError("refused", "nothing listens")));
    });
    const lost = Promise.withResolvers();
    lost.promise.catch(() => {});
    socket.on("error", () => {});
    socket.once("close", () => lost.reject(new DeviceError("hung-up", "the device has hung up")));
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => (isReadable &&= JSON.parse(line).closed !== true));
    return {
      identify: async () => ({ vendor: "Acme", model: "Tell-1", firmware: "1.0" }),
      read: async (points) => {
        if (!isReadable) throw new DeviceError("unsupported", "it only tells");
        return { answers: points.map(() => 42) };
      },
      subscribe: ({ points, records, sink, signal, raw }) => {
        const over = Promise.withResolvers();
        signal.addEventListener("abort", () => over.resolve());
        lines.on("line", (line) => {
          const told = JSON.parse(line);
          points.forEach(({ address: { key } }, index) => {
            if (told[key] === "poll") sink.poll(index);
            else if (told[key] !== undefined) {
              const reading = { value: told[key], status: "good", sourceTimeMs: told.at };
              const answer = raw ? { ...reading, raw: Buffer.from(String(told[key])) } : reading;
              sink.readings([{ index, answer }]);
            }
          });
          records.forEach(({ address: { key }, fields }, index) => {
            if (told[key] !== undefined) sink.record(index, fields.map((field) => told[key][field.address.key]));
          });
        });
        return Promise.race([over.promise, lost.promise]);
      },
      close: async () => socket.destroy(),
    };
  },
};
`;
/** Tells its points to whoever connects: "level" shows how often a record would be told, s. */
const simulator = `
import { once } from "node:events";
import { createServer } from "node:net";
export const start = async ({ settings: { port }, recordEveryMs = 0, records = [] }) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(JSON.stringify({ level: recordEveryMs / 1000, rain: records.length, load: 1 }) + "\\n");
  }).listen(port, "127.0.0.1");
  await once(server, "listening");
  const place = \`127.0.0.1:\${server.address().port}\`;
  return {
    address: place,
    readWith: \`nc \${place.replace(":", " ")}\`,
    set() {},
    fault() {},
    counts: { requests: 0, errors: 0 },
    close: async () => server.close(),
  };
};
`;
const profile = `
version: 1
vendor: Acme
model: Tell-1
class: weigh-station
driver: tell
status: community
sources: { manual: { title: Made for this test } }
silence: 30m
identify: { standard: true }
points:
  level: { address: { key: level }, unit: m, decimals: 2, poll: push, certainty: to-verify }
  rain: { address: { key: rain }, unit: mm, poll: push, certainty: to-verify }
  load: { address: { key: load }, unit: "%", certainty: to-verify }
records:
  weighing:
    address: { key: weighing }
    kind: transaction
    certainty: to-verify
    fields:
      gross: { address: { key: gross }, unit: kg, certainty: to-verify }
      plate: { address: { key: plate }, kind: text, privacy: token, certainty: to-verify }
`;

let box: Box;
let server: Server;
let port = 0;
const sockets = new Set<Socket>();
const children = new Set<ChildProcess>();
/** What the device tells to whoever connects. */
let greeting: object[] = [];

beforeAll(async () => {
  box = new Box({
    files: {
      "drivers/tell/settings.ts": settings,
      "drivers/tell/index.ts": driver,
      "simulators/tell/index.ts": simulator,
      "drivers/bare/settings.ts": settings,
      "firmware-profiles/acme/tell-1.yaml": profile,
      "firmware-profiles/acme/gate-1.yaml": profile.replace(/points:[^]*(?=records:)/, "points: {}\n"),
      "firmware-profiles/acme/bare-1.yaml": profile.replace("driver: tell", "driver: bare"),
    },
  });
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    for (const told of greeting) socket.write(`${JSON.stringify(told)}\n`);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
});
afterEach(() => {
  greeting = [];
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  box.remove();
});

function tell(told: object): void {
  for (const socket of sockets) socket.write(`${JSON.stringify(told)}\n`);
}

function siteText(at: number, more = ""): string {
  return `version: 1
gateway: { id: tell-box, name: Tủ cân, city: test, state: ./state }
outbox: { commitAfter: 100ms }
devices:
  - { id: scale-01, driver: tell, profile: acme/tell-1, port: ${at}, poll: 200ms${more} }
`;
}

const site = (name: string, more = ""): string => box.write(`${name}/gateway.yaml`, siteText(port, more));

/** A command that runs, with what it has said. */
class Command {
  out = "";
  err = "";
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(...args: string[]) {
    const env = { PATH: process.env["PATH"] ?? "", HOME: box.folder, LANG: "C.UTF-8" };
    this.child = spawn(box.launcher, args, { cwd: box.folder, env, stdio: ["ignore", "pipe", "pipe"] });
    children.add(this.child);
    this.child.stdout?.on("data", (data: Buffer) => (this.out += data.toString()));
    this.child.stderr?.on("data", (data: Buffer) => (this.err += data.toString()));
    this.ended = once(this.child, "close").then(([code]) => code as number | null);
  }
}

async function finished(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const command = new Command(...args);
  const code = await command.ended;
  return { code, out: command.out, err: command.err };
}

const until = (what: () => unknown) => expect.poll(what, { timeout: 20_000 });

describe("without a gateway", () => {
  it("shows what the device tells, with unit, quality and age, beside what it is asked for", async () => {
    greeting = [{ level: 1.25, at: Date.now() - 240_000 }, { rain: 3 }];
    const { code, out, err } = await finished("read", "scale-01", "--site", site("direct"));
    expect(err).toMatch(/^scale-01 {3}Acme Tell-1 firmware 1\.0 {3}read directly/);
    expect(out).toMatch(/^level +1\.25 m +good +4 min +key level$/m);
    expect(out).toMatch(/^rain +3 mm +good +\d\.\d s +key rain$/m);
    expect(out).toMatch(/^load +42 % +good +\d\.\d s +key load$/m);
    expect(err).not.toContain("not heard");
    expect(code).toBe(0);
  });

  it("waits as long as it says, and says what it has not heard and how long that may last", async () => {
    greeting = [{ level: 1.5 }];
    const read = new Command("read", "scale-01", "--wait", "2500ms", "--site", site("partly"));
    await until(() => read.err).toContain("heard 2/3 points, 0 records; waiting 2 s more");
    tell({ weighing: { gross: 24_470, plate: "51F-123.45" } });
    expect(await read.ended).toBe(0);
    expect(read.out).toMatch(/^rain +- +unheard +- +key rain/m);
    expect(read.out).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}transaction {2}weighing {2}gross 24 470 kg$/m);
    expect(read.out).not.toContain("51F");
    expect(read.err).toMatch(/not heard within 3 s: rain; this device may be silent for 30 min/);
  });

  it("ends the wait as soon as all is heard, or at Ctrl-C", async () => {
    const read = new Command("read", "scale-01", "level", "--wait", "60s", "--site", site("soon"));
    await until(() => read.err).toContain("heard 0/1 points");
    tell({ level: 2 });
    tell({ weighing: { gross: 1 } });
    expect(await read.ended).toBe(0);
    expect(read.out).toMatch(/^level +2\.00 m +good/m);

    const given = new Command("read", "scale-01", "level", "--wait", "60s", "--site", site("given-up"));
    await until(() => given.err).toContain("heard 0/1 points");
    given.child.kill("SIGINT");
    expect(await given.ended).toBe(5);
    expect(given.out).toMatch(/^level +- +unheard/m);
  });

  it("gives the bytes when asked, and everything to machines", async () => {
    greeting = [{ level: 7 }, { rain: 5 }];
    const file = site("raw");
    const raw = await finished("read", "scale-01", "level", "--raw", "--site", file);
    expect(raw.out).toMatch(/^level +7\.00 m +good +\S+ s +37 +key level$/m);
    greeting = [{ level: 7 }];
    const json = await finished(
      "read",
      "scale-01",
      "level",
      "rain",
      "--json",
      "--wait",
      "300ms",
      "--site",
      file,
    );
    const { data } = JSON.parse(json.out) as {
      data: { readings: object[]; records: object[]; silenceMs: number };
    };
    expect(data.readings).toMatchObject([
      { point: "level", value: 7, unit: "m", status: "good" },
      { point: "rain", value: null, unheard: true },
    ]);
    expect(data).toMatchObject({ via: "direct", records: [], silenceMs: 1_800_000 });
  });

  it("listens to all of a device that cannot be asked, and asks for what it will not tell", async () => {
    greeting = [{ level: 7, rain: 1, load: 90 }];
    const mute = await finished("read", "scale-01", "--site", site("mute", ", readable: false"));
    expect(mute).toMatchObject({ code: 0, out: expect.stringMatching(/^load +90 % +good/m) as string });
    greeting = [{ level: "poll", rain: 1 }];
    const pulled = await finished("read", "scale-01", "--site", site("pulled"));
    expect(pulled).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^level +42\.00 m +good/m) as string,
    });
  });

  it("says in Vietnamese that nothing was heard, and ends with 5", async () => {
    const args = ["read", "scale-01", "level", "--wait", "1s", "--lang", "vi", "--site", site("tieng-viet")];
    const { code, err } = await finished(...args);
    expect(err).toContain("scale-01 tự gửi giá trị: đã nghe 0/1 điểm, 0 bản ghi");
    expect(err).toMatch(
      /không nghe được trong 1 giây: level; bản ghi nào; thiết bị này có thể im lặng đến 30 phút/,
    );
    expect(code).toBe(5);
  });

  it("names the cause when the device hangs up while it is listened to", async () => {
    const read = new Command("read", "scale-01", "--wait", "60s", "--site", site("hung-up"));
    await until(() => read.err).toContain("heard 1/3 points");
    for (const socket of sockets) socket.destroy();
    expect(await read.ended).toBe(5);
    expect(read.err).toMatch(/KERB-DEV-HUNG-UP {2}scale-01: /);
  });

  it("names the cause too when it waits for records only", async () => {
    const file = box.write("gate/gateway.yaml", siteText(port).replace("acme/tell-1", "acme/gate-1"));
    for (const args of [["scale-01"], ["scale-01", "load"]]) {
      const where = args.length === 1 ? file : site("records-of-a-load");
      const read = new Command("read", ...args, "--wait", "20s", "--site", where);
      await until(() => read.err).toMatch(/heard \d\/\d points, 0 records/);
      for (const socket of sockets) socket.destroy();
      expect(await read.ended).toBe(5);
      expect(read.err).toMatch(/KERB-DEV-HUNG-UP {2}scale-01: /);
      expect(read.err).not.toContain("not heard within");
    }
  });

  it("watches", async () => {
    greeting = [{ level: 1 }];
    const watch = new Command("read", "scale-01", "--watch", "--site", site("watch"));
    await until(() => watch.out).toMatch(/^level +1\.00 m/m);
    tell({ level: 2 });
    tell({ weighing: { gross: 9 } });
    await until(() => watch.out).toMatch(/^level +2\.00 m/m);
    await until(() => watch.out).toMatch(/transaction {2}weighing {2}gross 9 kg$/m);
    expect(sockets.size).toBe(1);
    watch.child.kill("SIGINT");
    expect(await watch.ended).toBe(0);
  });
});

describe("kerb simulate", () => {
  it("starts any driver's simulator, of a profile or of a site, with records and a foreign tool", async () => {
    const simulated = new Command("simulate", "acme/tell-1", "--port", "0");
    await until(() => simulated.out).toMatch(/^acme\/tell-1 {3}acme\/tell-1 {3}at 127\.0\.0\.1:\d+$/m);
    const own = Number(/:(\d+)$/m.exec(simulated.out)?.[1]);
    await until(() => simulated.err).toContain(`Read it:  nc 127.0.0.1 ${own}`);
    const file = box.write("simulated/gateway.yaml", siteText(own));
    const { out } = await finished("read", "scale-01", "--site", file);
    expect(out).toMatch(/^level +20\.00 m +good/m);
    expect(out).toMatch(/^rain +1 mm +good/m);
    simulated.child.kill("SIGINT");
    expect(await simulated.ended).toBe(0);

    const again = new Command("simulate", "--site", file, "--json");
    await until(() => again.out).toContain(`"address":"127.0.0.1:${own}"`);
  });

  it("says which driver has no simulator", async () => {
    const { code, err } = await finished("simulate", "acme/bare-1");
    expect({ code, err }).toMatchObject({
      code: 2,
      err: expect.stringContaining("bare has no simulator") as string,
    });
  });
});

describe("through a running gateway", () => {
  it("shows what was told, waits for what was not, and tails records as one reads them", async () => {
    const file = box.write("running/gateway.yaml", siteText(port).replace("200ms", "1h"));
    greeting = [{ level: 1.25 }];
    const gateway = new Command("run", file);
    await until(() => gateway.out + gateway.err).toContain("scale-01 is online");
    const first = await finished("read", "scale-01", "--wait", "300ms", "--site", file);
    expect(first.err).toContain("read through the running gateway");
    expect(first.out).toMatch(/^level +1\.25 m +good/m);
    expect(first.out).toMatch(/^load +42 % +good/m);
    expect(first.out).toMatch(/^rain +- +unheard +-/m);
    expect(first.err).toMatch(
      /not heard within 0\.3 s: rain; any record; this device may be silent for 30 min/,
    );

    const raw = await finished("read", "scale-01", "level", "--raw", "--site", file);
    expect(raw.err).toContain("no bytes of: level; of what a device tells by itself");

    const read = new Command("read", "scale-01", "rain", "--wait", "60s", "--site", file);
    const tail = new Command("tail", "--kind", "transaction", "--site", file);
    await until(() => read.err).toContain("heard 0/1 points");
    expect(sockets.size).toBe(1);
    // A tail hears what is accepted after it has begun.
    for (let gross = 1; !tail.out.includes("weighing"); gross++) {
      tell({ weighing: { gross, plate: "51F-123.45" } });
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    tell({ rain: 8 });
    expect(await read.ended).toBe(0);
    expect(read.out).toMatch(/^rain +8 mm +good/m);
    expect(read.out).toMatch(/transaction {2}weighing {2}gross \d+ kg {2}plate hmac-sha256:\S+$/m);
    expect(tail.out).toMatch(/scale-01 +transaction +weighing {2}gross \d+ kg {2}plate hmac-sha256:/);

    // Nobody can say that all holds of what was not asked; nor is it lost for it, or asked past the gateway.
    tell({ closed: true });
    const why = await finished("why", "scale-01", "--site", file);
    expect(why).toMatchObject({ code: 6, out: expect.stringContaining("KERB-DEV-NOT-ASKED") as string });
    expect(why.out).toContain("it only tells");
    expect(why.out).toMatch(/^scale-01 {3}✓ online/);
    const again = await finished("why", "scale-01", "--site", file);
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining("Every step holds") as string });

    server.close();
    for (const socket of sockets) socket.destroy();
    await until(() => gateway.out + gateway.err).toContain("scale-01 is lost");
    const lost = await finished("read", "scale-01", "level", "--site", file);
    server.listen(port, "127.0.0.1");
    expect(lost).toMatchObject({ code: 5, out: "" });
    expect(lost.err).toMatch(/KERB-DEV-\S+ {2}scale-01: /);
  }, 60_000);
});
