import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { planOf } from "../generations/plan.ts";
import { load } from "./load.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-load-"));
  mkdirSync(join(folder, "secrets"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function factsOf(host: string, name: string, port: string) {
  const file = join(folder, "gateway.yaml");
  const device = `{ id: a-01, name: "${name}", driver: http, profile: generic/json-meter, host: "${host}", port: ${port} }`;
  writeFileSync(
    file,
    `version: 1\ngateway: { id: gw-01, name: Tủ, city: test, state: ./state }\ndevices:\n  - ${device}\n`,
  );
  const { loaded, diagnostics } = await load({ file });
  expect(diagnostics).toBeUndefined();
  return loaded!.facts;
}

it("a plan shows no text that a reference stands for, behind whatever key", async () => {
  const secrets = { host: "canary-host", name: `canary ${"y".repeat(100)}`, port: "7171" };
  for (const [name, text] of Object.entries(secrets)) writeFileSync(join(folder, "secrets", name), text);
  const before = await factsOf("10.0.0.1", "old", "80");
  const after = await factsOf("${secret:host}", "x ${secret:name}", '"${secret:port}"');
  const plan = planOf(before, after);
  expect(plan.devices[0]?.keys.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
    { key: "host", before: "10.0.0.1" },
    { key: "name", before: "old" },
    { key: "port", before: "80" },
  ]);
  expect(planOf(before, await factsOf("10.0.0.2", "old", "80")).devices[0]?.keys).toEqual([
    { key: "host", before: "10.0.0.1", after: "10.0.0.2" },
  ]);
});

it("a disk that does not give back what the twin wants keeps no site from running", async () => {
  mkdirSync(join(folder, "state", "twin.json"), { recursive: true });
  expect(await factsOf("10.0.0.1", "old", "80")).toBeDefined();
});
