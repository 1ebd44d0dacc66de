import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Journal } from "../gateway/commands/journal.ts";
import { ask } from "../gateway/control/control.ts";
import { embeddedReport } from "../gateway/report/page.ts";
import { signedReportSchema, type SignedReport } from "../gateway/report/report.ts";
import { rowsOf } from "../gateway/report/testing.ts";
import { verifyReport } from "../gateway/report/verify.ts";
import { envelope, folder, kerbProgram, Program, siteFile } from "./cli-rig.ts";
import { IdentityRig } from "./identity-rig.ts";
import { freePort } from "./ports.ts";

/** `kerb report` in real processes: two meters that answer, one that does not, one that is switched off. */

const who = { vendor: "<b>Kerb & Works", model: '="K-1"', firmware: "2.3", serial: "A0042" };
const off = ["off-01", "off-02", "off-03", "off-04"];
let meter: IdentityRig;
let named: IdentityRig;
let dead = 0;

const portOf = ({ simulator }: IdentityRig): number => Number(/:(\d+) /.exec(simulator.address)?.[1]);

beforeAll(async () => {
  meter = await IdentityRig.open("modbus", "eastron/sdm630", {});
  named = await IdentityRig.open("modbus", "sunspec/meter-203", { ...who });
  dead = await freePort();
});
afterAll(async () => {
  await meter.close();
  await named.close();
});

const now = () => ({ wallMs: Date.now(), monoMs: 0, clock: "synced" as const, boot: "b" });

const meterText = (id: string, port: number, given: string) => `  - id: ${id}
    ${given}
    driver: modbus
    profile: sunspec/meter-203
    poll: 200ms
    transport: { type: tcp, host: 127.0.0.1, port: ${port} }
    unit: 1
`;

function site(name: string): string {
  const device = [
    meterText("meter-02", portOf(named), 'name: "</script><img src=x onerror=alert(1)>"'),
    meterText("dead-01", dead, "name: Công tơ mất"),
    ...off.map((id) => meterText(id, dead, "enabled: false")),
  ].join("");
  return siteFile(name, { broker: dead, meter: portOf(meter), device });
}

/** The simulators live in this process, so kerb must not hold it up. */
async function ended(program: Program): Promise<{ code: number | string; out: string; errors: string }> {
  const code = await program.ended;
  return { code, out: program.lines.join("\n"), errors: program.errorLines.join("\n") };
}

const kerb = (...args: string[]) => ended(kerbProgram(...args));

/** Before a reader that comes after the file was written, when all is being printed: a pipe holds 64 KiB. */
function piped(file: string, ...args: string[]) {
  const line = 'gateway/kerb "$@" | (until [ -e "$0" ]; do sleep 0.1; done; sleep 0.3; cat)';
  return ended(new Program("bash", ["-o", "pipefail", "-c", line, file, ...args, "-o", file]));
}

function signedIn(text: string): SignedReport {
  const { api, kind, data } = envelope(text);
  expect({ api, kind }).toEqual({ api: "kerb/v1", kind: "report" });
  return signedReportSchema.parse(data);
}

it("reads the devices itself where no gateway runs, and says what is missing", async () => {
  const file = site("direct");
  const state = join(dirname(file), "state");
  const journal = await Journal.open({ folder: join(state, "commands"), now }, {});
  const about = { v: 1, gw: "cli-test", dev: "meter-02", by: "ky-thuat@local", args: { relay: false } };
  await journal.append({
    ev: "result",
    state: { ...about, id: "one", state: "failed", at: 1_795_000_000_000 },
  });
  await journal.append({
    ev: "result",
    state: { ...about, id: "two", state: "done", at: 1_795_000_100_000, readBack: { relay: false } },
  });
  await journal.append({ ev: "result", state: { ...about, id: "open", state: "unknown", at: 2 } });
  await journal.append({ ev: "result", state: { ...about, id: "arm", mode: "arm", state: "done", at: 1 } });
  await journal.close();
  const { code, out } = await piped(
    join(dirname(file), "direct.json"),
    "report",
    "--site",
    file,
    "--json",
    "--contract",
    "12/2026",
  );
  expect(code).toBe(6);
  expect(out.length).toBeGreaterThan(65_536);
  const { report, ...signature } = signedIn(out);
  expect(verifyReport(out)?.verdict).toBe("valid");
  expect(signature.publicKey).not.toBeNull();
  expect(statSync(join(state, "box.key")).mode & 0o777).toBe(0o600);
  expect(report).toMatchObject({
    about: { contract: "12/2026", contractor: null },
    box: { via: "direct", outbox: null, uplinks: [], audit: "whole" },
    missing: ["gateway", "books"],
    summary: { devices: 7, ok: 2, failing: 1, notCommissioned: 4, blocking: 2, warnings: 4 },
  });
  expect(report.problems.map(({ severity, code: one, object }) => [severity, one, object])).toEqual([
    ["blocking", "KERB-REP-NO-GATEWAY", null],
    ["blocking", "KERB-NET-PORT", "dead-01"],
    ...off.map((id) => ["warning", "KERB-REP-NOT-COMMISSIONED", id]),
  ]);
  const [first, second] = report.devices;
  expect(first).toMatchObject({ state: "online", tests: { identity: "unknowable", write: null } });
  expect(first?.tests.read).toMatchObject({ asked: 26, answered: 26, good: 26 });
  expect(second).toMatchObject({
    identity: who,
    profile: { covers: "inside" },
    tests: {
      identity: "matches",
      polls: null,
      write: { id: "two", state: "done", readBack: { relay: false } },
    },
    events: null,
  });
}, 60_000);

it("asks the running gateway, has it sign, and finds what was altered", async () => {
  const file = site("running");
  const own = dirname(file);
  meter.simulator.set("voltage.L1", 413.5);
  const gateway = kerbProgram("run", file);
  const online = async () => {
    const { out } = await kerb("status", "--site", file, "--json");
    const { data } = envelope(out === "" ? "{}" : out);
    return ((data?.["devices"] ?? []) as { state: string; answered: number }[]).filter(
      ({ state, answered }) => state === "online" && answered > 2,
    ).length;
  };
  await expect.poll(online, { timeout: 30_000, interval: 300 }).toBe(2);
  const page = join(own, "nghiem-thu.html");
  const table = join(own, "nghiem-thu.csv");
  const parties = ["--contractor", "Công ty <A>", "--accepted-by", "Trung tâm B"];
  const wish = ["--lang", "vi", "-o", page, "-o", table, ...parties];
  const { code, out } = await kerb("report", "--site", file, ...wish);
  expect(code).toBe(6);
  expect(out).toMatch(
    /2 trên 7 thiết bị đạt, 1 không đạt \(dead-01\), 4 chưa đưa vào vận hành\. 2 mục phải khắc phục, /,
  );
  expect(out).toMatch(/✗ dead-01 .*KERB-NET-PORT/);
  expect(out).toMatch(/Đã ghi .*nghiem-thu\.html, .*nghiem-thu\.csv, .*nghiem-thu\.json \(đã ký số, sha256 /);

  const json = readFileSync(join(own, "nghiem-thu.json"), "utf8");
  const { report } = signedIn(json);
  expect(JSON.parse(embeddedReport(readFileSync(page, "utf8")) ?? "")).toEqual(signedIn(json));
  const [first, second] = report.devices;
  expect(report.box).toMatchObject({ via: "gateway", outbox: { closes: true }, audit: "none" });
  expect(report.box.uplinks).toMatchObject([{ id: "ioc", lastAcknowledgement: null }]);
  const { polls = 0, answered = 0, failed = 0, missed = 0, lossPercent } = first?.tests.polls ?? {};
  expect(answered).toBeGreaterThan(2);
  expect(answered + failed + missed).toBe(polls);
  expect(lossPercent).toBeCloseTo((100 * (failed + missed)) / polls, 1);
  expect(first?.points.find(({ name }) => name === "voltage.L1")).toMatchObject({
    value: 413.5,
    outside: true,
    limits: [0, 300],
    quality: "uncertain",
  });
  expect(report.problems.find(({ code: one }) => one === "KERB-REP-VALUES")).toMatchObject({
    object: "meter-01",
    seen: { vi: "1 trên 26 điểm: voltage.L1 413.5 V ngoài khoảng 0 … 300" },
  });
  expect(second?.identity).toMatchObject(who);
  expect(second?.events?.accepted).toBeGreaterThan(0);

  // Hostile names stand in the files as text.
  const html = readFileSync(page, "utf8");
  expect(html).toContain('<html lang="vi">');
  expect(html).toContain("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;");
  expect(html.match(/<(img|script(?! type="application\/json" id="kerb-report"))/g)).toBeNull();
  expect(html).not.toMatch(/(src|href)=["']|url\(/);
  const [titles = [], ...rows] = rowsOf(readFileSync(table, "utf8").slice(1));
  const models = new Set(rows.map((row) => row[titles.indexOf("model")]));
  expect([...models]).toContain(`'="K-1"`);
  expect(rows.filter((row) => row[titles.indexOf("device")] === "meter-01")).toHaveLength(26);

  const key = await kerb("report", "key", "--site", file, "--json");
  const { fingerprint } = envelope(key.out).data as { fingerprint: string };
  const verify = (name: string, ...more: string[]) =>
    kerb("report", "verify", join(own, name), "--lang", "en", ...more);
  expect(await verify("nghiem-thu.html", "--key", fingerprint)).toMatchObject({ code: 0 });
  writeFileSync(join(own, "altered.html"), html.replace("✗ ngoài giới hạn", "✓"));
  const altered = await kerb("report", "verify", join(own, "altered.html"), "--lang", "vi");
  expect(altered).toMatchObject({ code: 6 });
  expect(altered.out).toMatch(/✗ .*ĐÃ BỊ SỬA.*\n {2}chỗ bị sửa: dòng \d+/);
  const other = await verify("nghiem-thu.json", "--key", fingerprint.replaceAll(/[0-9]/g, "f"), "--json");
  expect(other.code).toBe(6);
  expect(envelope(other.out).data).toMatchObject({ verdict: "other-box", fingerprint });

  // Whoever has the control socket gets nothing signed but this.
  const signing = (args: Record<string, unknown>) =>
    ask(join(own, "state", "kerb.sock"), { verb: "sign-report", args }).next();
  const digest = { what: "kerb-report", sha256: "0".repeat(64) };
  await expect(signing(digest)).rejects.toThrow(/^KERB-REP-REFUSED: .* a digest alone is not signed/);
  const { publicKey, signature } = signedIn(json);
  expect((await signing({ report: JSON.stringify(report) })).value).toEqual({ publicKey, signature });
  const strange = { ...report, site: { ...report.site, gateway: "another" } };
  await expect(signing({ report: JSON.stringify(strange) })).rejects.toThrow(
    /^KERB-REP-REFUSED: .* this is "cli-test" of "test"/,
  );

  const english = await kerb("report", "--site", file, "--lang", "en", "-o", join(own, "report.html"));
  expect(english.out).toMatch(
    /2 of 7 devices ok, 1 failing \(dead-01\), 4 not commissioned\. 2 blocking items, /,
  );
  const text = readFileSync(join(own, "report.html"), "utf8");
  expect(text).toContain('<html lang="en">');
  expect(text).toContain("Open problems");
  expect(text).not.toContain("CỘNG HÒA");
  // What nobody has applied yet is no device of the gateway that signs.
  writeFileSync(file, `${readFileSync(file, "utf8")}${meterText("new-01", dead, "name: Mới")}`);
  const unapplied = await kerb("report", "--site", file, "--lang", "vi", "-o", join(own, "new.json"));
  expect(unapplied.code).toBe(6);
  expect(unapplied.out).toMatch(/CHƯA KÝ SỐ: .*\(KERB-REP-REFUSED\); áp dụng .* \(kerb config apply\)/);
  await gateway.stop();
}, 90_000);

it("asks nothing when it could not write the answer, and overwrites only its own", async () => {
  const file = site("files");
  const own = dirname(file);
  writeFileSync(join(own, "mine.json"), '{"mine":1}');
  const [form, foreign, nothing, noReport, noKey] = await Promise.all([
    kerb("report", "--site", file, "-o", join(own, "x.pdf")),
    kerb("report", "--site", file, "-o", join(own, "mine.html")),
    kerb("report", "verify", join(folder, "nothing.html")),
    kerb("report", "verify", file),
    kerb("report", "verify", join(own, "mine.json"), "--key", "zzz"),
  ]);
  expect(form).toMatchObject({ code: 2, errors: expect.stringContaining(".html, .json or .csv") });
  expect(foreign).toMatchObject({ code: 2, errors: expect.stringContaining("is not overwritten") });
  expect(readFileSync(join(own, "mine.json"), "utf8")).toBe('{"mine":1}');
  expect(existsSync(join(own, "mine.html"))).toBe(false);
  expect(nothing).toMatchObject({ code: 3 });
  expect(noReport).toMatchObject({ code: 2, errors: expect.stringContaining("is no report of kerb") });
  expect(noKey).toMatchObject({ code: 2, errors: expect.stringContaining("no public key of a box") });
}, 60_000);
