import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LinkMemory } from "./addresses.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-addresses-"));
  file = join(folder, "uplink-ioc.json");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const never = () => new Promise<never>(() => {});
const is = (address: string) => () => Promise.resolve([{ address, family: 4 }]);

it("gives the last good address when the name service is silent, also after a restart", async () => {
  const first = new LinkMemory(file, is("192.0.2.7"));
  expect(await first.addresses("ioc.example")).toEqual([{ address: "192.0.2.7", family: 4 }]);
  first.good("ioc.example", "192.0.2.7");
  first.setFleet(500);
  await first.settled();
  const second = new LinkMemory(file, never);
  const begun = performance.now();
  expect(await second.addresses("ioc.example")).toEqual([{ address: "192.0.2.7", family: 4 }]);
  expect(performance.now() - begun).toBeLessThan(4000);
  expect(second.fleet).toBe(500);
});

it("tries what the name service says first, and the address that was good behind it", async () => {
  const memory = new LinkMemory(file, is("198.51.100.1"));
  memory.good("ioc.example", "192.0.2.7");
  const found = await memory.addresses("ioc.example");
  expect(found.map(({ address }) => address)).toEqual(["198.51.100.1", "192.0.2.7"]);
  await memory.settled();
});

it("asks a silent name service one question at a time", async () => {
  let asked = 0;
  const memory = new LinkMemory(undefined, () => {
    asked++;
    return never();
  });
  await Promise.all([memory.addresses("a.example"), memory.addresses("a.example")]);
  await memory.addresses("a.example");
  expect(asked).toBe(1);
});

it("takes a file that is not its own for an empty one", async () => {
  for (const text of [
    "",
    "[]",
    "{",
    '{"addresses":{"a":[{"address":"x y","family":9}]},"fleet":"many"}',
    "null",
  ]) {
    writeFileSync(file, text);
    const memory = new LinkMemory(file, is("192.0.2.1"));
    expect(memory.fleet).toBeUndefined();
    expect(await memory.addresses("a")).toEqual([{ address: "192.0.2.1", family: 4 }]);
  }
});

it("keeps going when it cannot write", async () => {
  const memory = new LinkMemory(join(folder, "missing", "x.json"), is("192.0.2.1"));
  memory.good("a", "192.0.2.1");
  await memory.settled();
  expect(() => readFileSync(join(folder, "missing", "x.json"))).toThrow();
  expect(await memory.addresses("a")).toHaveLength(1);
});
