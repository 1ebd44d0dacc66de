import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadSite } from "./config.ts";
import { ConfigError } from "../errors.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-health-schema-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function siteWith(health: string): string {
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, `version: 1\ngateway: { id: one-box, name: x, city: test }\n${health}`);
  return file;
}

async function mistakeOf(health: string): Promise<string> {
  try {
    await loadSite(siteWith(health));
  } catch (error) {
    return (error as ConfigError).render();
  }
  return "";
}

describe("health.listen", () => {
  it("is off unless it is set", async () => {
    expect((await loadSite(siteWith(""))).health).toBeUndefined();
    expect((await loadSite(siteWith("health: {}\n"))).health).toBeUndefined();
  });

  it.each([
    ["127.0.0.1:9464", { host: "127.0.0.1", port: 9464 }],
    ["localhost:1", { host: "localhost", port: 1 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
  ])("takes %s", async (listen, parts) => {
    expect((await loadSite(siteWith(`health: { listen: "${listen}" }\n`))).health).toEqual(parts);
  });

  it.each(["127.0.0.1", ":9464", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:9464", "::1:9464", ""])(
    "refuses %j with the place and an example",
    async (listen) => {
      const text = await mistakeOf(`health:\n  listen: "${listen}"\n`);
      expect(text).toMatch(/gateway\.yaml:4:11 .*such as 127\.0\.0\.1:9464/);
      expect(text).not.toContain("without login");
    },
  );

  it.each(["0.0.0.0:9464", "192.168.8.10:9464", "[::]:9464", "kerb.example:9464", "127.example:9464"])(
    "refuses %s, which others reach, unless that is acknowledged",
    async (listen) => {
      expect(await mistakeOf(`health:\n  listen: "${listen}"\n`)).toMatch(
        /:4:11 .*without login: use 127\.0\.0\.1, or write "insecure: acknowledged"/,
      );
      const open = siteWith(`health: { listen: "${listen}", insecure: acknowledged }\n`);
      expect((await loadSite(open)).health?.port).toBe(9464);
    },
  );

  it("refuses a slip of the pen", async () => {
    expect(await mistakeOf("health: { lsten: '127.0.0.1:9464' }\n")).toMatch(/did you mean "listen"/);
  });
});
