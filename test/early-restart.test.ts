import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, describe, expect, it } from "vitest";
import { load } from "../gateway/config/load.ts";
import { loadedOf, type LoadRequest } from "../gateway/config/process.ts";
import { ConfigEngine } from "../gateway/generations/engine.ts";
import { GatewayRun } from "../gateway/generations/gateway-run.ts";
import { chooseStart } from "../gateway/generations/start.ts";
import { freePort } from "./ports.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-run-"));
const state = join(folder, "state");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A gateway in this process, and what it logs. */
async function gateway(port: number) {
  const file = join(folder, "gateway.yaml");
  const health = `health: { listen: "127.0.0.1:${port}" }`;
  writeFileSync(
    file,
    `version: 1\ngateway: { id: box-01, name: Box, city: hcm, state: ./state }\n${health}\n`,
  );
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  // As `kerb run`, which takes a process to read the file.
  const chosen = await chooseStart(file, {
    load: async (request: LoadRequest) => loadedOf(await load(request)),
  });
  const run = new GatewayRun(log, () => {});
  const engine = new ConfigEngine(chosen, run, log);
  const said = (text: string) => lines.filter((line) => line.includes(text)).length;
  return { run, engine, site: chosen.loaded.site, said };
}

describe("a gateway", () => {
  it("that is restarted while its first start hangs on the disk runs once, and its end leaves nothing", async () => {
    const port = await freePort();
    const { run, engine, site, said } = await gateway(port);
    const outbox = join(state, "outbox.db");
    // SQLite cannot open a folder.
    mkdirSync(outbox, { recursive: true });
    const hangs = (starts: number) =>
      expect.poll(() => said("KERB-OUT-"), { timeout: 20_000 }).toBeGreaterThanOrEqual(starts);
    const started = run.start(site, engine);
    await hangs(1);
    const restarted = run.restart(site);
    await hangs(2);
    expect(said("health and metrics")).toBe(0);
    rmdirSync(outbox);
    await started;
    expect(said("box-01 is running")).toBe(1);
    await restarted;
    const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
    await expect.poll(ready, { timeout: 10_000 }).toBe(200);

    // A start that fails says so as before.
    const second = await gateway(await freePort());
    await expect(second.run.start(second.site, second.engine)).rejects.toThrow(/another kerb is running/);
    await second.run.stop();

    await run.stop();
    await expect(ready()).rejects.toThrow();
  }, 60_000);
});
