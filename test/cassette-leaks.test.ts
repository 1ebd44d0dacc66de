import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { playCassette } from "../gateway/cli/cassettes.ts";
import { record } from "../gateway/cli/record.ts";
import { complaintOf, Tapes } from "./cassette-rig.ts";

/** Secrets that are not where a scrubber looks first: packed, in addresses of points, across chunks. */

const tapes = new Tapes();
const closing: (() => unknown)[] = [];
const password = "Geheim-9-Wort";
const host = "127.0.0.1";
const same = { differences: [], failure: undefined };
/** None of these may be in a cassette. */
const told = {
  owner: "Nguyen Van Anh",
  plate: "GR 123 AB",
  session: { token: "t0k3n-of-a-session" },
  echo: password,
};
const secrets = [told.owner, told.plate, told.session.token, password];

beforeAll(() => {
  mkdirSync(tapes.path("secrets"));
  writeFileSync(tapes.path("secrets/web"), password);
});

afterAll(async () => {
  for (const close of closing) await close();
  tapes.close();
});

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** A device of a site file of its own, whose document has `level`. */
async function pillar(id: string, answer: Answering, more = {}, path = "/s"): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const points = { level: { address: { path, pick: "$.level" }, unit: "m" } };
  const auth = { type: "digest", user: "viewer", password: "${secret:web}" };
  return tapes.site(`${id}.yaml`, [{ id, driver: "http", host, port, auth, points, ...more }]);
}

const document = JSON.stringify({ level: 4.2, ...told });

it("an answer that would come packed comes as it is, so that what is secret in it is found", async () => {
  const site = await pillar("packs", (request, response) => {
    const isPacked = /gzip/.test(request.headers["accept-encoding"] ?? "");
    response.writeHead(200, {
      "Content-Type": "application/json",
      ...(isPacked ? { "Content-Encoding": "gzip" } : {}),
    });
    response.end(isPacked ? gzipSync(document) : document);
  });
  const { cassette, text, bytes, file } = await tapes.record(site, "packs");
  expect(bytes.toString("latin1")).toContain('"level":4.2');
  for (const secret of secrets) expect(text + bytes.toString("latin1"), secret).not.toContain(secret);
  expect(await playCassette(cassette, file)).toMatchObject(same);
}, 30_000);

it.each([
  ["gzip", { "Content-Encoding": "gzip" }],
  ["x-gzip", { "CONTENT-ENCODING": "X-gZip" }],
])(
  "a device that packs (%s) although nobody asked for it is not recorded",
  async (name, headers) => {
    const site = await pillar(`always-${name}`, (_, response) => {
      response.writeHead(200, { "Content-Type": "application/json", ...headers });
      response.end(gzipSync(document));
    });
    const complaint = await complaintOf(() =>
      record(`always-${name}`, {
        site,
        out: tapes.path(`${name}.yaml`),
        forMs: 500,
        json: true,
        lang: "en",
      }),
    );
    expect(complaint).toMatchObject({ exitCode: 2, title: expect.stringContaining(`packed (${name})`) });
  },
  30_000,
);
