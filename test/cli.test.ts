import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { envelope, folder, kerb, kerbProgram, launcher, Program, siteFile } from "./cli-rig.ts";

/** The commands before devices, gateways and the demo, in real processes. */

// Debian's package belongs to Debian's interpreter, which need not be the first on the path.
const python = ["python3", "/usr/bin/python3"].find(
  (program) => spawnSync(program, ["-c", "import pymodbus.server.async_io"]).status === 0,
);
if (python === undefined) console.warn("skipped: python3-pymodbus is not installed");
function isInstalled(program: string): boolean {
  const isThere = spawnSync(program, ["-V"]).error === undefined;
  if (!isThere) console.warn(`skipped: ${program} is not installed`);
  return isThere;
}

const hasMbpoll = isInstalled("mbpoll");

/** Processes whose command line names this test's folder. */
function processesOf(text: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return command.includes(text) ? [`${pid} ${command}`] : [];
      } catch {
        return [];
      }
    });
}

describe("without a gateway", () => {
  it("status says that none runs, and how to start one", () => {
    const file = siteFile("status", { broker: 1883, meter: 502 });
    const { code, out, err } = kerb(["status"], { KERB_SITE: file });
    expect({ code, out }).toEqual({ code: 4, out: "" });
    expect(err).toMatch(/no gateway is running for .*gateway\.yaml/);
    expect(err).toMatch(/do +start it: kerb run /);
    expect(kerb(["tail", "--site", file]).code).toBe(4);
    expect(envelope(kerb(["status", "--json", "--site", file]).out).error.code).toBe("KERB-CLI-NOT-RUNNING");
    expect(kerb(["status", "--site", "/nowhere.yaml"])).toMatchObject({ code: 3 });
  });

  it("reads a simulated meter directly, with every decoding of its bytes", async () => {
    const simulator = kerbProgram("simulate", "eastron/sdm630", "--port", "0", "--seed", "7");
    const port = Number(/127\.0\.0\.1:(\d+) unit 1/.exec(await simulator.line(/at 127/))?.[1]);
    const file = siteFile("direct", { broker: 1883, meter: port });

    const whole = kerb(["read", "meter-01", "--site", file]);
    expect(whole.code).toBe(0);
    expect(whole.err).toMatch(/^meter-01 {3}.*eastron\/sdm630 {3}read directly/);
    expect(whole.out).toMatch(/^POINT +VALUE +QUALITY +AGE +ADDRESS$/m);
    expect(whole.out).toMatch(/^voltage\.L1 +2\d\d\.\d V +good +\d\.\d s +input 0 float32$/m);
    expect(whole.out.trim().split("\n")).toHaveLength(27);

    const raw = kerb(["read", "meter-01", "voltage.L1", "--raw", "--site", file]).out;
    expect(raw).toMatch(/^POINT +VALUE +QUALITY +AGE +RAW +ADDRESS$/m);
    const [, volts = "", high = "", low = ""] =
      /^voltage\.L1 +([\d.]+) V +good +\S+ s +(\w{4}) (\w{4}) /m.exec(raw) ?? [];
    expect(
      Buffer.from(high + low, "hex")
        .readFloatBE()
        .toFixed(1),
    ).toBe(volts);
    expect(raw).toMatch(new RegExp(`^ +ABCD .*float32 +${volts.replace(".", "\\.").slice(0, -1)}`, "m"));
    expect(raw.match(/^ +(ABCD|CDAB|BADC|DCBA) +uint32/gm)).toHaveLength(4);

    const json = envelope(kerb(["read", "meter-01", "voltage.L1", "--raw", "--json", "--site", file]).out);
    const [reading] = json.data["readings"] as { point: string; decodings: { order: string }[] }[];
    expect(json).toMatchObject({ kind: "read", ok: true, data: { device: "meter-01", via: "direct" } });
    expect(reading).toMatchObject({ point: "voltage.L1", unit: "V", status: "good" });
    expect(reading?.decodings.map(({ order }) => order)).toEqual(["ABCD", "CDAB", "BADC", "DCBA"]);

    const mistyped = kerb(["read", "metr-01", "--site", file]);
    expect(mistyped.code).toBe(3);
    expect(mistyped.err).toContain('did you mean "meter-01"?');
    const noPoint = kerb(["read", "meter-01", "voltage.L4", "--site", file]);
    expect(noPoint.code).toBe(3);
    expect(noPoint.err).toMatch(/has no point "voltage\.L4" - did you mean "voltage\.L\d"\?/);

    const watch = kerbProgram("read", "meter-01", "voltage.L1", "--watch", "--site", file);
    await watch.line(/^voltage\.L1/);
    expect(await watch.stop()).toBe(0);
    expect(watch.lines.at(-1)).toMatch(
      /^(\d+) requests?, \1 repl(y|ies), 0 errors, 0\.0 % loss, p95 \d+ ms$/,
    );

    expect(await simulator.stop()).toBe(0);
    const dead = kerb(["read", "meter-01", "--site", file]);
    expect(dead.code).toBe(5);
    expect(dead.err).toMatch(/KERB-DEV-REFUSED {2}meter-01: Nothing listens/);
    expect(dead.err).toMatch(/^ {2}seen .*ECONNREFUSED\n {2}likely .*\n {2}do /m);
    const vietnamese = envelope(
      kerb(["read", "meter-01", "--json", "--site", file], { LANG: "vi_VN.UTF-8" }).out,
    );
    expect(vietnamese.error.code).toBe("KERB-DEV-REFUSED");
    expect(vietnamese.error.title).toContain("Không có gì lắng nghe");
  }, 60_000);

  it("reads scaled SunSpec points with their bytes", async () => {
    const simulator = kerbProgram("simulate", "sunspec/meter-203", "--port", "0", "--firmware", "2.7");
    const port = Number(/127\.0\.0\.1:(\d+) /.exec(await simulator.line(/at 127/))?.[1]);
    const file = siteFile("sunspec", { broker: 1883, meter: port });
    writeFileSync(file, readFileSync(file, "utf8").replace("eastron/sdm630", "sunspec/meter-203"));
    const { code, out, err } = kerb(["read", "meter-01", "voltage.L1", "--raw", "--site", file]);
    expect(code).toBe(0);
    expect(err).toMatch(/SunSpec .* firmware 2\.7 serial SIM1 {3}read directly/);
    expect(out).toMatch(/^voltage\.L1 +2\d\d(\.\d+)? V +good/m);
  });

  it.skipIf(!hasMbpoll)("prints a command by which another program reads the same", async () => {
    const simulator = kerbProgram("simulate", "eastron/sdm630", "--port", "0", "--unit", "5");
    await simulator.line(/unit 5/);
    while (simulator.errorLines.length === 0)
      await new Promise((resolve) => simulator.child.stderr?.once("data", resolve));
    const [, command = ""] = /Read it: +(mbpoll .*)$/.exec(simulator.errorLines[0] ?? "") ?? [];
    const { stdout, status } = spawnSync(command, { shell: true, encoding: "utf8", timeout: 10_000 });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\[1\]:\s+2\d\d\.\d/m);
  });

  it("pretends to be some of a site's devices only", async () => {
    const meter = await freePort();
    const file = siteFile("some", { broker: 1883, meter });
    const unknown = kerb(["simulate", "--site", file, "--device", "meter-1"]);
    expect(unknown.code).toBe(3);
    expect(unknown.err).toMatch(/there is no device "meter-1" in .*did you mean:? "meter-01"\?\n +do +its/);
    const simulator = kerbProgram("simulate", "--site", file, "--device", "meter-01");
    await simulator.line(/^meter-01 +eastron\/sdm630 +at 127\.0\.0\.1:\d+ unit 1$/);
    expect(await simulator.stop()).toBe(0);
  });

  it.each([
    ["met-one/bam-1020", /printf '\\002DA\\015' \| (socat) -t 2 - TCP:127\.0\.0\.1:\d+$/],
    ["generic/wim-json", /Read it: +(socat) -u TCP:127\.0\.0\.1:\d+ -$/],
    ["onvif/profile-t", /Read it: +(curl) .*GetSystemDateAndTime.* http:\/\/127\.0\.0\.1:\d+\/onvif/],
  ])("says how a foreign program reaches a %s, and it does", async (profile, pattern) => {
    const simulator = kerbProgram("simulate", profile, "--port", "0");
    await simulator.line(/ at 127/);
    await expect.poll(() => simulator.errorLines.join("\n"), { timeout: 20_000 }).toMatch(/Ctrl-C/);
    const [line = ""] = simulator.errorLines;
    const [, program = ""] = pattern.exec(line) ?? [];
    expect(line).toMatch(pattern);
    if (!isInstalled(program)) return;
    const command = line.replace(/^Read it: +/, "");
    const { stdout } = spawnSync(command, { shell: true, encoding: "utf8", timeout: 4000 });
    expect(stdout).toMatch(/MD\d\d 001|"type":"status"|UTCDateTime/);
  });

  it.skipIf(!isInstalled("socat"))("a pretend device outlives its serial line", async () => {
    const [near, far] = [join(folder, "near"), join(folder, "far")];
    const line = new Program("socat", [`pty,raw,echo=0,link=${near}`, `pty,raw,echo=0,link=${far}`]);
    await expect.poll(() => existsSync(far)).toBe(true);
    const simulator = kerbProgram("simulate", "met-one/bam-1020", "--serial", far);
    await expect.poll(() => simulator.errorLines.join(), { timeout: 20_000 }).toMatch(/Ctrl-C/);
    await line.stop("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await simulator.stop()).toBe(0);
  });

  it("a fault of the simulator is what the reader sees", async () => {
    const simulator = kerbProgram("simulate", "eastron/sdm630", "--port", "0", "--fault", "silent", "--json");
    const { data } = envelope(await simulator.line(/"simulator"/));
    const port = Number(/:(\d+) /.exec(String(data["address"]))?.[1]);
    const { code, err } = kerb([
      "read",
      "meter-01",
      "--site",
      siteFile("silent", { broker: 1883, meter: port }),
    ]);
    expect(code).toBe(5);
    expect(err).toContain("KERB-DEV-SILENT");
    const file = siteFile("silent", { broker: 1883, meter: port });
    const vietnamese = kerb(["read", "meter-01", "--site", file, "--lang", "vi"]).err;
    expect(vietnamese).toMatch(/^kerb: KERB-DEV-SILENT {2}meter-01: Thiết bị không trả lời$/m);
    expect(vietnamese).toMatch(/^ {2}ghi nhận +127.*\n {2}có thể do +\S.*\n {2}cách xử lý +\S/m);
  });

  it.skipIf(python === undefined)("reads a pymodbus server", async () => {
    const port = await freePort();
    const server = new Program(python ?? "", ["-c", pymodbusServer, String(port)]);
    await server.line(/serving/);
    const device = `  - id: foreign-01
    driver: modbus
    transport: { type: tcp, host: 127.0.0.1, port: ${port} }
    unit: 3
    points:
      temperature: { address: { table: holding, register: 10, type: float32, order: CDAB }, unit: Cel, decimals: 2 }
      absent: { address: { table: holding, register: 90 } }
`;
    const file = siteFile("pymodbus", { broker: 1883, meter: 502, device });
    // The server says "serving" a moment before it does.
    let result = kerb(["read", "foreign-01", "--site", file, "--raw"]);
    for (let i = 0; i < 10 && result.code === 5; i++)
      result = kerb(["read", "foreign-01", "--site", file, "--raw"]);
    expect(result).toMatchObject({ code: 0 });
    expect(result.err).toMatch(/Pymodbus/);
    expect(result.out).toMatch(/^temperature +-3\.25 °C +good +\S+ s +0000 C050 +holding 10 float32 CDAB$/m);
    expect(result.out).toMatch(/^absent +- +bad .*modbus-2/m);
  });
});

const pymodbusServer = `
import asyncio, struct, sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusSlaveContext, ModbusServerContext
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.server.async_io import StartAsyncTcpServer
from pymodbus.transaction import ModbusSocketFramer
words = [0] * 50
words[10:12] = struct.unpack(">2H", struct.pack(">f", -3.25))[::-1]
slave = ModbusSlaveContext(hr=ModbusSequentialDataBlock(0, words), zero_mode=True)
identity = ModbusDeviceIdentification(info_name={"VendorName": "Pymodbus", "ProductCode": "PM", "MajorMinorRevision": "3.0"})
async def serve():
    print("serving", flush=True)
    await StartAsyncTcpServer(ModbusServerContext(slaves={3: slave}, single=False), identity=identity,
                              address=("127.0.0.1", int(sys.argv[1])), framer=ModbusSocketFramer)
asyncio.run(serve())
`;
import { freePort } from "./ports.ts";

describe("with a gateway", () => {
  it("reads through it, shows its status and its events", async () => {
    const simulator = kerbProgram("simulate", "eastron/sdm630", "--port", "0");
    const port = Number(/127\.0\.0\.1:(\d+) /.exec(await simulator.line(/at 127/))?.[1]);
    const broker = await freePort();
    const file = siteFile("running", { broker, meter: port });
    const gateway = kerbProgram("run", file);
    await gateway.line(/meter-01 is online/);

    const read = kerb(["read", "meter-01", "frequency", "--site", file, "--raw"]);
    expect(read.code).toBe(0);
    expect(read.err).toContain("read through the running gateway");
    expect(read.out).toMatch(
      /^frequency +(49|50)\.\d+ Hz +good +\d\.\d s +[0-9A-F]{4} [0-9A-F]{4} +input 70 float32$/m,
    );
    const vietnamese = kerb(["read", "meter-01", "frequency", "--site", file, "--lang", "vi"]);
    expect(vietnamese.err).toContain("đọc qua gateway đang chạy");
    expect(vietnamese.out).toMatch(/^ĐIỂM +GIÁ TRỊ +CHẤT LƯỢNG +CÁCH ĐÂY +ĐỊA CHỈ\nfrequency +\S+ Hz +tốt /);
    const mistyped = kerb(["read", "meter-01", "frequenzy", "--site", file]);
    expect(mistyped.code).toBe(3);
    expect(mistyped.err).toContain('did you mean "frequency"?');
    expect(kerb(["read", "meter-1", "--site", file]).code).toBe(3);

    const status = kerb(["status", "--site", file]);
    expect(status).toMatchObject({ code: 0, err: "" });
    expect(status.out).toMatch(/^cli-test {3}Tủ thử nghiệm {3}kerb .* {3}epoch \d+/m);
    expect(status.out).toMatch(/^outbox {3}accepted [\d ]+ = delivered 0 \+ kept [\d ]+ \+ dropped 0/m);
    expect(status.out).toMatch(/^meter-01 +✓ online .*Công tơ tủ chiếu sáng$/m);
    expect(kerb(["status", "--site", file, "--lang", "vi"]).out).toMatch(
      /^THIẾT BỊ .*\nmeter-01 +✓ trực tuyến/m,
    );
    expect(envelope(kerb(["status", "--site", file, "--json"]).out).data["devices"]).toMatchObject([
      { id: "meter-01", state: "online", enabled: true },
    ]);

    const tail = kerbProgram("tail", "--site", file, "--device", "meter-01", "--kind", "telemetry", "--json");
    const event = envelope(await tail.line(/"event"/));
    expect(event).toMatchObject({ kind: "event", ok: true, data: { device: "meter-01", kind: "telemetry" } });
    expect(await tail.stop()).toBe(0);
    expect(tail.errorLines).toEqual([]);
    const readable = kerbProgram("tail", "--site", file);
    await readable.line(/^\d\d:\d\d:\d\d\.\d{3} {2}meter-01 +telemetry +voltage\.L1 2\d\d/);
    expect(kerb(["tail", "--site", file, "--device", "meter-1"]).code).toBe(3);

    await simulator.stop("SIGKILL");
    await gateway.line(/meter-01 is lost/);
    const lost = kerb(["read", "meter-01", "--site", file]);
    expect(lost.code).toBe(5);
    expect(lost.err).toMatch(/KERB-DEV-\S+ {2}meter-01: .*\n {2}seen .*\n {2}likely .*\n {2}do /);
    expect(kerb(["status", "--site", file]).out).toMatch(/^meter-01 +✗ lost .*KERB-DEV-REFUSED/m);

    expect(await gateway.stop()).toBe(0);
    expect(await readable.ended).toBe(4);
  }, 60_000);
});

describe("the demo", () => {
  let ports: number[];
  beforeAll(async () => {
    ports = [await freePort(), await freePort()];
  });

  function demoSite(name: string): string {
    return siteFile(name, { broker: ports[0] ?? 0, meter: ports[1] ?? 0 });
  }

  it("delivers, brings back what is killed, ends with balanced books and leaves no process", async () => {
    const file = demoSite("demo");
    const demo = kerbProgram("demo", "--site", file);
    await demo.line(/^first event delivered after \d+\.\d s$/);
    await demo.line(/✓ online: meter-01/);
    const command = await demo.line(/^ {2}kerb read|^ {2}npx kerb read|read meter-01/);
    expect(command).toContain(`read meter-01 --site`);
    const pid = Number(/kill -9 (\d+)/.exec(await demo.line(/kill -9 \d+/))?.[1]);
    process.kill(pid, "SIGKILL");
    await demo.line(/broker has ended and starts again \(SIGKILL\)/);
    await demo.line(/broker runs again/);
    expect(await demo.stop()).toBe(0);
    const closing = demo.lines.at(-1) ?? "";
    const [, ...numbers] =
      /^accepted ([\d ]+) = delivered ([\d ]+) \+ kept ([\d ]+) \+ dropped ([\d ]+) {3}the books balance$/.exec(
        closing,
      ) ?? [];
    const [accepted = 0, delivered = 0, kept = 0, dropped = 0] = numbers.map((text) =>
      Number(text.replaceAll(" ", "")),
    );
    expect(delivered).toBeGreaterThan(0);
    expect(accepted).toBe(delivered + kept + dropped);
    expect(processesOf(file)).toEqual([]);
    expect(processesOf(`--port ${ports[0]}`)).toEqual([]);
  }, 60_000);

  it("leaves no process when it is killed itself", async () => {
    const file = demoSite("killed");
    const demo = kerbProgram("demo", "--site", file, "--json");
    const { data } = envelope(await demo.line(/"delivering"/));
    const programs = data["programs"] as { name: string; pid: number }[];
    expect(programs.map(({ name }) => name)).toEqual(["broker", "simulators", "receiver", "gateway"]);
    expect(processesOf(file).length).toBeGreaterThanOrEqual(3);
    await demo.stop("SIGKILL");
    await expect.poll(() => processesOf(file), { timeout: 10_000 }).toEqual([]);
    await expect.poll(() => processesOf(`--port ${ports[0]}`), { timeout: 10_000 }).toEqual([]);
  }, 60_000);

  // npm passes SIGINT and SIGTERM on to the shell that it starts, and nothing else; a killed one passes nothing on.
  it.for(["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"] as const)(
    "ends with npm start, by %s",
    { timeout: 60_000 },
    async (signal) => {
      const file = demoSite(`npm-${signal}`);
      const npm = new Program("npm", ["start", "--silent", "--", "--site", file, "--json"]);
      await npm.line(/"delivering"/);
      await npm.stop(signal);
      await expect.poll(() => processesOf(file), { timeout: 25_000 }).toEqual([]);
      await expect.poll(() => processesOf(`--port ${ports[0]}`), { timeout: 25_000 }).toEqual([]);
    },
  );

  it("ends with its terminal", async () => {
    const file = demoSite("terminal");
    // From util-linux, as on every Debian.
    const terminal = new Program("script", ["-qfc", `exec ${launcher} demo --site ${file}`, "/dev/null"]);
    await terminal.line(/read meter-01 --site/);
    // The screen stands before all of them do.
    await expect.poll(() => processesOf(file).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    await terminal.stop("SIGKILL");
    await expect.poll(() => processesOf(file), { timeout: 25_000 }).toEqual([]);
    await expect.poll(() => processesOf(`--port ${ports[0]}`), { timeout: 25_000 }).toEqual([]);
  }, 60_000);

  it("names a port that is taken", async () => {
    const file = demoSite("taken");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(ports[1], "127.0.0.1", resolve));
    const demo = kerbProgram("demo", "--site", file);
    expect(await demo.ended).toBe(1);
    server.close();
    expect(demo.errorLines[0]).toMatch(
      new RegExp(`port ${ports[1]} on 127\\.0\\.0\\.1 is taken .*meter-01 needs it`),
    );
    expect(demo.errorLines[1]).toMatch(/^ {2}do +end that program/);
  });
});
