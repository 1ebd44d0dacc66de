import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { playCassette } from "../gateway/cli/profile/cassettes.ts";
import { record } from "../gateway/cli/profile/record.ts";
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

it("what comes in chunks is looked through as if it came in one", async () => {
  // Every name and every secret lies across at least one of them.
  const parts = document.match(/[^]{1,7}/g) ?? [];
  const site = await pillar("chunks", (_, response) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    for (const part of parts) response.write(part);
    response.end();
  });
  const { cassette, bytes, text, file } = await tapes.record(site, "chunks");
  const body = bytes.toString("latin1").replaceAll(/\r\n[0-9a-f]{1,2}\r\n/g, "");
  expect(body).toContain(`{"level":4.2,"owner":"${"x".repeat(told.owner.length)}"`);
  for (const secret of secrets) expect(text + body, secret).not.toContain(secret);
  expect(Object.keys(cassette.reads.at(-1) ?? {})).toEqual(["level"]);
  expect(await playCassette(cassette, file)).toEqual({ ...same, unknown: 0 });
}, 30_000);

const key = "SECRET12345";

it("what opens the device in an address of a point is neither in its requests nor in its settings", async () => {
  const site = await pillar(
    "opens",
    (request, response) => {
      // It calls the key otherwise, so that only who knows it finds it.
      const echo = { level: 4.2, asked: `${request.url}`, note: `hello ${key}, or variable-4711 a/b-cd` };
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(echo));
    },
    {
      variables: { k: "variable-4711", lane: "north" },
      points: {
        level: {
          address: { path: `/s?apikey=${key}&lane={lane}`, pick: "$.level" },
          label: { en: `water, ${key}`, vi: "nước" },
          unit: "m",
        },
        second: { address: { path: "/s?key={k}&n=1", pick: "$.level" }, unit: "m" },
        third: {
          address: { path: "/s?session=a%2Fb-cd&user=me&pwd=${secret:web}", pick: "$.level" },
          unit: "m",
        },
        set: {
          address: {
            path: "/s",
            pick: "$.level",
            write: { path: "/w", body: { login: { name: "body-secret", pin: 8_251 }, to: "{value}" } },
          },
          unit: "m",
        },
      },
    },
  );
  const { cassette, text, bytes, file } = await tapes.record(site, "opens");
  const inIt = text + bytes.toString("latin1");
  const all = [key, "variable-4711", "a%2Fb-cd", "a/b-cd", "user=me", password, "body-secret", "8251"];
  for (const secret of all) expect(inIt, secret).not.toContain(secret);
  expect(cassette.settings).toMatchObject({
    variables: { k: "x".repeat(13), lane: "north" },
    points: {
      level: { address: { path: `/s?apikey=${"x".repeat(key.length)}&lane={lane}` }, unit: "m" },
      second: { address: { path: "/s?key={k}&n=1" } },
      third: { address: { path: `/s?session=xxxxxxxx&user=xx&pwd=${"x".repeat(password.length)}` } },
      set: { address: { write: { body: { to: "{value}" } } } },
    },
  });
  expect(cassette.unstable).toEqual([]);
  expect(Object.keys(cassette.reads.at(-1) ?? {})).toEqual(["level", "second", "third", "set"]);
  expect(await playCassette(cassette, file)).toEqual({ ...same, unknown: 0 });
}, 30_000);

it("what is not to be had without its secret is refused in one sentence", async () => {
  writeFileSync(tapes.path("secrets/path"), "/hidden-level");
  const site = await pillar(
    "whole",
    (_, response) => response.writeHead(200, { "Content-Type": "application/json" }).end('{"level":4.2}'),
    { points: { level: { address: { path: "${secret:path}", pick: "$.level" }, unit: "m" } } },
  );
  const { exitCode, title } = await complaintOf(() =>
    tapes.record(site, "whole", { forMs: 500, lang: "en" }),
  );
  expect(exitCode).toBe(2);
  expect(title).toMatch(
    /^whole cannot be recorded: the scrubbed recording does not play \(.*expected a path/,
  );
  expect(title).not.toMatch(/hidden-level|cassette-\d|\n/);
}, 30_000);
