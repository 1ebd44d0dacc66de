import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Receiver } from "../../receiver/receiver.ts";
import { receiverApi, serveApi } from "../../receiver/http.ts";
import type { Certificate } from "../../receiver/certificates.ts";
import { certificate, certificateLine } from "./certificate.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-certificate-"));
afterAll(() => rmSync(folder, { recursive: true }));

const at = (minute: number, second = 0) => new Date(Date.UTC(2026, 5, 1, 7, minute, second)).toISOString();
const counts = { device: "a", events: 28, polls: 28, answered: 28, failed: 0, missed: 0 };
const one: Certificate = {
  v: 1,
  gateway: "gw-1",
  from: at(0),
  to: at(60),
  state: "unsealed",
  tampered: false,
  events: 28,
  lost: [],
  findings: [{ code: "box-off" }],
  seals: [],
  clock: "synced",
  // Two devices without a report at the same time.
  devices: [
    { ...counts, unknown: [[at(10), at(10, 30)]] },
    { ...counts, device: "b", unknown: [[at(10, 15), at(10, 45)]] },
  ],
  off: [{ from: at(10), to: at(12) }],
  checked: at(61),
};

describe("a certificate's line", () => {
  it("says for how long polls are not known, when the box was off and when it was checked", () => {
    expect(certificateLine(one, "en")).toContain(
      "missed 0   polls not known for 45 s of it   box off 2026-06-01T07:10..07:12Z   checked 2026-06-01T08:01Z",
    );
    expect(certificateLine(one, "vi")).toContain(
      "không rõ số lần đọc trong 45 s   gateway tắt 2026-06-01T07:10..07:12Z   đối chiếu lúc 2026-06-01T08:01Z",
    );
  });
});

const verify = (keyFile = "", verified = "") =>
  certificate(undefined, { url: "http://127.0.0.1:1", verify: [verified], key: keyFile });
const complaint = (file = "") => ({
  complaint: {
    exitCode: 2,
    title: expect.stringContaining(file),
    hint: expect.stringMatching(/^name a /),
  },
});

describe("kerb certificate", () => {
  it("says so when there is nothing to show", async () => {
    const receiver = new Receiver({ database: join(folder, "receiver.db") });
    const api = await serveApi(receiverApi(receiver, { connected: () => true }), "127.0.0.1:0");
    await expect(certificate(undefined, { url: api.url })).rejects.toMatchObject({
      complaint: { exitCode: 3, title: "no gateway has been heard by this receiver" },
    });
    await api.close();
    receiver.close();
    const empty = createServer((_, response) => response.end('{"certificates":[],"next":null}'));
    empty.listen(0, "127.0.0.1");
    await once(empty, "listening");
    const url = `http://127.0.0.1:${(empty.address() as AddressInfo).port}`;
    expect(await certificate("gw-1", { url })).toBe(6);
    empty.close();
  });

  it("names the file that cannot be used to verify, and the cure", async () => {
    const [missing, key, list] = ["missing.pem", "key.pem", "list.json"].map((name) => join(folder, name));
    const { publicKey } = generateKeyPairSync("ed25519");
    await expect(verify(missing, list)).rejects.toMatchObject({
      complaint: { exitCode: 3, title: expect.stringContaining(missing ?? "") },
    });
    writeFileSync(key ?? "", "no key");
    await expect(verify(key, list)).rejects.toMatchObject(complaint(key));
    writeFileSync(key ?? "", publicKey.export({ type: "spki", format: "pem" }));
    for (const text of ["[null]", "null", '{"certificates":[{}]}', "{"]) {
      writeFileSync(list ?? "", text);
      await expect(verify(key, list)).rejects.toMatchObject(complaint(list));
    }
  });
});
