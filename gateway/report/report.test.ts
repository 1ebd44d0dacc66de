import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { afterAll, describe, expect, it } from "vitest";
import { boxPublicKey, fingerprintOf, signAsBox } from "../box-key.ts";
import { csvOf } from "./csv.ts";
import { embeddedReport, pageOf } from "./page.ts";
import { placeOf } from "./place.ts";
import { reportSchema, type SignedReport, signedReportSchema } from "./report.ts";
import { signPage, signReport, type Sign } from "./signing.ts";
import { device, hostile, point, reportOf, rowsOf } from "./testing.ts";
import { verifyReport } from "./verify.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const box: Sign = (signed) => signAsBox(join(folder, "box"), signed);
const otherBox: Sign = (signed) => signAsBox(join(folder, "other"), signed);

const evil = reportOf(
  [
    device({
      name: hostile,
      reason: hostile,
      address: hostile,
      identity: { vendor: hostile, model: hostile, firmware: hostile, serial: hostile, more: { a: hostile } },
      points: [
        point({ value: hostile, code: hostile, reason: hostile, label: { en: hostile, vi: hostile } }),
        point({ name: "over", value: 400, outside: true, quality: "uncertain" }),
      ],
    }),
  ],
  { about: { contract: hostile, contractor: hostile, acceptedBy: hostile, note: hostile } },
);

type Node = Record<string, unknown>;

const characters: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
const decoded = (text: string): string =>
  text.replaceAll(/&([^;&]*);/g, (whole, name: string) => characters[name] ?? whole);

/** Every element of a page with its attributes, and every text. */
function walk(nodes: Node[], elements: [string, Record<string, string>][], texts: string[]): void {
  for (const node of nodes) {
    const attributes = (node[":@"] ?? {}) as Record<string, string>;
    for (const [name, inner] of Object.entries(node)) {
      if (name === ":@") continue;
      if (name === "#text") texts.push(decoded(String(inner)));
      else {
        elements.push([name, attributes]);
        if (name !== "script" && name !== "style") walk(inner as Node[], elements, texts);
      }
    }
  }
}

function parsed(page: string) {
  const unpairedTags = ["meta", "br", "wbr"];
  const text = page.replace(/^<!doctype html>\n/, "");
  expect(XMLValidator.validate(text, { unpairedTags, allowBooleanAttributes: false })).toBe(true);
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: "",
    parseTagValue: false,
    trimValues: false,
    processEntities: false,
    unpairedTags,
    stopNodes: ["*.script", "*.style"],
  });
  const [elements, texts]: [[string, Record<string, string>][], string[]] = [[], []];
  walk(parser.parse(text) as Node[], elements, texts);
  return { elements, texts };
}

const signed = await signReport(evil, box);

describe("the page", () => {
  it.each(["en", "vi"] as const)(
    "escapes what devices say, and asks for nothing outside itself: %s",
    (language) => {
      const page = pageOf(signed, language);
      const { elements, texts } = parsed(page);
      const names = new Set(elements.map(([name]) => name));
      expect(
        [...names].filter((name) => ["img", "a", "link", "iframe", "form", "svg"].includes(name)),
      ).toEqual([]);
      const attributes = new Set(elements.flatMap(([, own]) => Object.keys(own)));
      const known = ["lang", "charset", "http-equiv", "content", "name", "scope", "class", "type", "id"];
      expect([...attributes].filter((name) => !known.includes(name))).toEqual([]);
      expect(elements.filter(([name]) => name === "script").map(([, own]) => own["type"])).toEqual([
        "application/json",
      ]);
      // The name of the device, its value and the note are there as they were told.
      expect(texts.filter((text) => text === hostile).length).toBeGreaterThan(5);
      expect(texts.join(" ")).not.toMatch(/undefined|\bnull\b|NaN|\[object/);
      expect(elements.find(([name]) => name === "html")?.[1]["lang"]).toBe(language);
      expect(elements.filter(([name]) => name === "th").every(([, own]) => own["scope"] !== undefined)).toBe(
        true,
      );
    },
  );

  it("allows its own style and nothing else", () => {
    const page = pageOf(signed, "vi");
    const [, css = ""] = /<style>(.*?)<\/style>/s.exec(page) ?? [];
    const hash = createHash("sha256").update(css).digest("base64");
    expect(page).toContain(`default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;;`);
    expect(css).not.toMatch(/url\(|@import|expression/);
  });

  it("says what is open before anything else, and marks what is out of its limits by sign and word", () => {
    const { texts } = parsed(pageOf(signed, "vi"));
    const text = texts.join("\n");
    expect(text.indexOf("Vấn đề còn tồn tại")).toBeLessThan(text.indexOf("Hộp gateway"));
    expect(text).toContain("✗ ngoài giới hạn");
    expect(text).toContain("22/11/2026 17:00:01 (UTC+07:00)");
    expect(text).toContain("2026-11-22 10:00:01 UTC");
    expect(text).toMatch(/Họ tên[^]*Chức vụ[^]*Chữ ký[^]*Đóng dấu/);
    expect(text).toContain("lamp.group1 = false");
    expect(pageOf(signed, "vi")).toBe(pageOf(structuredClone(signed), "vi"));
    // In the language of the page, whatever this process speaks.
    expect(pageOf(signed, "vi")).toContain(">1 giây<");
    expect(pageOf(signed, "en")).toContain(">1 s<");
  });

  it("carries the report that it was made of", () => {
    expect(JSON.parse(embeddedReport(pageOf(signed, "en")) ?? "")).toEqual(signed);
    expect(signedReportSchema.parse(signed)).toEqual(signed);
    expect(reportSchema.safeParse({ ...evil, more: 1 }).success).toBe(false);
  });
});

describe("the table", () => {
  it("is read back as it was, and holds no formula", () => {
    const report = reportOf([
      device({
        name: '=HYPERLINK("http://evil","x")',
        identity: { vendor: "-2+3", model: "@SUM(A1)", firmware: "+1", serial: " =1", more: {} },
        points: [
          point({ value: -12.5, reason: 'says "no",\r\nand more' }),
          point({ name: "text", value: "\t=cmd|' /C calc'!A0", limits: null }),
        ],
      }),
      device({ id: "dead-01", points: [] }),
    ]);
    const csv = csvOf(report);
    expect(csv.startsWith("\ufeffmade,gateway,device,")).toBe(true);
    const [titles = [], ...rows] = rowsOf(csv.slice(1));
    expect(rows).toHaveLength(3);
    expect(rows.every((row) => row.length === titles.length)).toBe(true);
    const [first = {}, second = {}, third = {}] = rows.map((row) =>
      Object.fromEntries(titles.map((title, i) => [title, row[i] ?? ""])),
    );
    expect(first).toMatchObject({
      deviceName: `'=HYPERLINK("http://evil","x")`,
      vendor: "'-2+3",
      model: "'@SUM(A1)",
      firmware: "'+1",
      serial: "' =1",
      value: "-12.5",
      reason: 'says "no", and more',
      limitHigh: "300",
      outsideLimits: "false",
    });
    expect(second).toMatchObject({ value: "\t'=cmd|' /C calc'!A0", limitLow: "" });
    expect(third).toMatchObject({ device: "dead-01", point: "", value: "" });
  });

  it("holds none either where a spreadsheet splits at semicolons and knows nothing of our quotes", () => {
    const report = reportOf([
      device({
        name: "x;=cmd|' /C calc'!A0;",
        identity: {
          vendor: "x\n=1+1;",
          model: "x\r\n @SUM(1)",
          firmware: "＝1+1",
          serial: "x\t-1\u2028=2",
          more: {},
        },
        points: [point({ reason: "a; +1 ;b;;=2" })],
      }),
    ]);
    const cells = csvOf(report)
      .slice(1)
      .split(/\r\n|[\n\r\t;\u2028]/)
      .slice(1);
    expect(cells.length).toBeGreaterThan(8);
    for (const cell of cells) expect(cell).not.toMatch(/^\s*[=+\-@＝]/);
    expect(csvOf(report)).toContain("x;'=cmd|");
  });
});

const json = (one: SignedReport): string => JSON.stringify({ api: "kerb/v1", data: one }, null, 2);

describe("the signature", () => {
  it("holds for the report and for the page", async () => {
    const page = await signPage(pageOf(signed, "vi"), box);
    expect(verifyReport(page)).toMatchObject({ verdict: "valid", form: "page", gateway: "q1-01", where: [] });
    expect(verifyReport(json(signed))).toMatchObject({
      verdict: "valid",
      form: "json",
      sha256: signed.sha256,
    });
    expect(verifyReport(JSON.stringify(signed))?.verdict).toBe("valid");
    expect(verifyReport("{}")).toBeUndefined();
    expect(verifyReport('{"report":{"kind":"other"},"publicKey":"","signature":""}')).toBeUndefined();
    expect(verifyReport(json({ ...signed, sha256: "0".repeat(64) }))?.verdict).toBe("altered");
    expect(verifyReport("<!doctype html>\n<p>x</p>")).toBeUndefined();
  });

  it("names the part of a report that was altered", () => {
    const changed = structuredClone(signed);
    changed.report.devices[0]!.points[1]!.value = 299;
    expect(verifyReport(json(changed))).toMatchObject({ verdict: "altered", where: ["device meter-01"] });
    const fewer = structuredClone(signed);
    fewer.report.problems = [];
    expect(verifyReport(json(fewer))).toMatchObject({ verdict: "altered", where: ["problems"] });
    const odd = structuredClone(signed) as unknown as { report: Record<string, unknown> };
    odd.report["more"] = "\ud800";
    expect(verifyReport(JSON.stringify(odd))?.verdict).toBe("altered");
  });

  it("names the line of a page that was altered, also where its report was not", async () => {
    const page = await signPage(pageOf(signed, "vi"), box);
    const line = page.split("\n").findIndex((text) => text.includes("ngoài giới hạn"));
    const changed = page.replace("✗ ngoài giới hạn", "✓ trong giới hạn");
    expect(verifyReport(changed)).toMatchObject({ verdict: "altered", where: [`line ${line + 1}`] });
    expect(verifyReport(`${page}<p>and more</p>\n`)?.verdict).toBe("altered");
    expect(verifyReport(pageOf(signed, "vi"))?.verdict).toBe("altered");
    const inside = page.replace('"value":400', '"value":200');
    expect(verifyReport(inside)).toMatchObject({ verdict: "altered" });
    expect(verifyReport(inside)?.where).toContain("device meter-01");
  });

  it("knows another box, and who has not signed at all", async () => {
    const key = await boxPublicKey(join(folder, "box"));
    const isBox = (one: string) => one === key;
    const theirs = await signReport(evil, otherBox);
    expect(verifyReport(json(theirs), isBox)?.verdict).toBe("other-box");
    expect(verifyReport(json(signed), isBox)?.verdict).toBe("valid");
    // The page of one box with the report of another is nobody's.
    const mixed = await signPage(pageOf(theirs, "vi"), box);
    expect(verifyReport(mixed)?.verdict).toBe("altered");
    // The same digest under the name of a page is no signature of a report.
    const asPage: Sign = ({ sha256 }) => box({ what: "kerb-report-page", sha256 });
    expect(verifyReport(json(await signReport(evil, asPage)))?.verdict).toBe("altered");
    const unsigned = await signReport(evil, () => Promise.resolve(undefined));
    expect(verifyReport(json(unsigned))?.verdict).toBe("unsigned");
    expect(pageOf(unsigned, "vi")).toContain("CHƯA KÝ SỐ");
  });
});

describe("the key of the box", () => {
  it("is never replaced by another one who makes it at the same moment", async () => {
    for (let round = 0; round < 12; round++) {
      const state = join(folder, `race-${round}`);
      const late = async () => {
        await new Promise((resolve) => setTimeout(resolve, round / 4));
        return boxPublicKey(state);
      };
      const [one, other] = await Promise.all([boxPublicKey(state), late()]);
      expect(other).toBe(one);
      expect(await boxPublicKey(state)).toBe(one);
    }
  });

  it("is made once, for its user alone", async () => {
    const state = join(folder, "new", "state");
    const keys = await Promise.all(Array.from({ length: 8 }, () => boxPublicKey(state)));
    expect(new Set(keys).size).toBe(1);
    expect(statSync(join(state, "box.key")).mode & 0o777).toBe(0o600);
    expect(fingerprintOf(keys[0] ?? "")).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
    expect(readFileSync(join(state, "box.key"), "utf8")).toContain("BEGIN PRIVATE KEY");
  });
});

describe("the place of a device", () => {
  it("is shown without a secret", () => {
    expect(placeOf({ transport: { type: "tcp", host: "10.0.0.1", port: 502 }, unit: 3 })).toBe(
      "tcp 10.0.0.1:502 unit 3",
    );
    const line = { type: "rtu", port: "/dev/ttyS1", baud: 9600, dataBits: 8, parity: "none", stopBits: 1 };
    expect(placeOf({ transport: line, unit: 11 })).toBe("rtu /dev/ttyS1 9600-8N1 unit 11");
    const secret = { host: "10.0.0.2", port: 80, user: "u", password: "SECRET", auth: { token: "SECRET" } };
    expect(placeOf({ ...secret, webhook: { listen: "10.0.0.5:8080", token: "SECRET" } })).toBe(
      "10.0.0.2:80 webhook 10.0.0.5:8080",
    );
    expect(placeOf({ endpoint: "opc.tcp://u:SECRET@10.0.0.3:4840/UA" })).toBe("opc.tcp://10.0.0.3:4840/UA");
  });
});
