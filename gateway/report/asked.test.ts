import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { boxPublicKey } from "../box-key.ts";
import { signAsked } from "./asked.ts";
import { pageOf } from "./page.ts";
import type { Report } from "./report.ts";
import { isSigned, openPage, partsOf, signReport } from "./signing.ts";
import { device, reportOf } from "./testing.ts";
import { verifyReport } from "./verify.ts";

const stateFolder = mkdtempSync(join(tmpdir(), "kerb-asked-"));
const own = { stateFolder, gateway: "q1-01", city: "hcm", devices: ["meter-01", "meter-02"] };
const two = [device(), device({ id: "meter-02" })];

/** A report of just now. */
function fresh(more: Partial<Report> = {}): Report {
  const made = { ...reportOf().made, at: new Date().toISOString() };
  return reportOf(two, { made, ...more });
}

const asked = (report: unknown, page?: string) =>
  signAsked(own, { report: JSON.stringify(report), ...(page === undefined ? {} : { page }) });

afterAll(() => rmSync(stateFolder, { recursive: true, force: true }));

describe("who may only ask the gateway", () => {
  it("gets its own report of now signed, and the page that it makes of it", async () => {
    // Its members in another order than the schema has them.
    const report = Object.fromEntries(Object.entries(fresh()).toReversed()) as Report;
    const signed = await signReport(report, () => asked(report));
    expect(signed.publicKey).toBe(await boxPublicKey(stateFolder));
    expect(verifyReport(JSON.stringify(signed))?.verdict).toBe("valid");
    for (const language of ["en", "vi"] as const) {
      const { signature } = await asked(report, language);
      const page = `${pageOf(signed, language)}<!-- kerb-report-page ${signature} -->\n`;
      expect(openPage(page).signature).toBe(signature);
      expect(verifyReport(page)?.verdict).toBe("valid");
    }
  });

  it("gets no signature under a digest, or under anything that is no report of this gateway and of now", async () => {
    const past = new Date(Date.now() - 11 * 60_000).toISOString();
    const future = new Date(Date.now() + 11 * 60_000).toISOString();
    const report = fresh();
    const { site, box, made } = report;
    const altered = { ...report, devices: [device({ verdict: "failing" }), device({ id: "meter-02" })] };
    const refused: [unknown, RegExp][] = [
      [fresh({ site: { ...site, gateway: "q1-02" } }), /it is about "q1-02" of "hcm"/],
      [fresh({ site: { ...site, city: "hn" } }), /it is about "q1-01" of "hn"/],
      [fresh({ made: { ...made, at: past } }), /not now/],
      [fresh({ made: { ...made, at: future } }), /not now/],
      [fresh({ box: { ...box, via: "direct" } }), /made without the gateway/],
      [reportOf([device()], { made }), /missing: meter-02/],
      [reportOf([...two, device({ id: "meter-03" })], { made }), /"meter-03" is no device/],
      [reportOf([device(), device()], { made }), /"meter-01" is no device .* twice/],
      [altered, /its parts are not/],
      [{ ...report, parts: { ...report.parts, more: "0".repeat(64) } }, /its parts are not/],
      [{ ...report, extra: true }, /no commissioning report/],
      [{ ...report, kind: "kerb-command" }, /no commissioning report/],
      [{ v: 1, gw: "q1-01", dev: "meter-01", op: "write", args: {} }, /no commissioning report/],
    ];
    for (const [value, why] of refused) {
      const failure = await asked(value).catch((error: Error) => error.message);
      expect(failure).toMatch(why);
      expect(failure).toMatch(/^KERB-REP-REFUSED: /);
    }
    const digest = { what: "kerb-report", sha256: "0".repeat(64) };
    for (const args of [digest, {}, { report: 3 }, { report: "{}", page: "fr" }])
      await expect(signAsked(own, args)).rejects.toThrow("a digest alone is not signed");
    await expect(signAsked(own, { report: "x" })).rejects.toThrow("it is no JSON");
    await expect(signAsked(own, { report: "x".repeat(7 * 1024 * 1024) })).rejects.toThrow("too large");
  }, 60_000);

  it("waits behind few others: who asks again and again and hangs up fills no memory", async () => {
    const report = fresh();
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => asked(report)));
    const refused = answers.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    expect(refused).toHaveLength(6);
    expect(refused.every((text) => text.includes("try again"))).toBe(true);
    expect(await asked(report)).toHaveProperty("signature");
  }, 60_000);

  it("gets each under its own name: the signature of a page is none of a report", async () => {
    const report = fresh();
    const [ofReport, ofPage] = await Promise.all([asked(report), asked(report, "vi")]);
    const { sha256, ...signed } = await signReport(report, () => Promise.resolve(ofReport));
    expect(isSigned({ what: "kerb-report", sha256 }, ofReport)).toBe(true);
    expect(isSigned({ what: "kerb-report-page", sha256 }, ofReport)).toBe(false);
    expect(isSigned({ what: "kerb-report", sha256 }, ofPage)).toBe(false);
    expect(partsOf(signed.report)).toEqual(report.parts);
  });
});
