import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EventReader } from "../../gateway/event.ts";
import { OutboxStore, type RowLane } from "../../gateway/outbox/store.ts";
import { freePort, Program, until } from "../bench/processes.ts";
import { quantile } from "./arrivals.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** R32: the real gateway, killed while a device posts to it. What was answered with 204 has to be in the outbox. */

const launcher = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
const token = "token-of-the-bin-1";
const senders = 8;

function writeSite(folder: string, brokerPort: number, port: number): string {
  const site = {
    version: 1,
    gateway: { id: "trial-gateway", name: "Trial", city: "trial", state: "state" },
    // Nobody is there: whatever was taken stays.
    uplinks: [{ id: "ioc", type: "mqtt", url: `mqtt://127.0.0.1:${brokerPort}`, encoding: "columnar" }],
    log: { level: "warn" },
    devices: [
      {
        id: "bin-1",
        driver: "http",
        profile: "generic/webhook-bin",
        webhook: { listen: `127.0.0.1:${port}`, token, perMinuteMax: 60_000 },
      },
    ],
  };
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, JSON.stringify(site));
  return file;
}

/** Posts one emptying of so many kilograms; the status, or 0 where there was no answer. */
function post(port: number, agent: Agent, weight: number): Promise<number> {
  const events = [{ type: "emptied", weight_kg: weight, vehicle: "29C-123.45" }];
  const body = JSON.stringify({ filling: 40, events });
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve) => {
    const sent = request({ port, host: "127.0.0.1", agent, method: "POST", path: `/hook/${token}`, headers });
    sent.on("error", () => resolve(0));
    sent.on("response", (response) => {
      response.resume().on("error", () => {});
      resolve(response.statusCode ?? 0);
    });
    sent.end(body);
  });
}

/** The weights that lie in an outbox. */
function weights(path: string): Set<number> {
  const store = new OutboxStore({ path, bytesMax: 256 * 1024 * 1024 });
  const reader = new EventReader();
  const found = new Set<number>();
  for (const lane of [0, 1] as RowLane[])
    for (const { body } of store.rows(lane, 0, store.lastId, 10_000_000)) {
      reader.open(body);
      if (reader.kind !== "transaction") continue;
      const { values } = reader.object() as { values: Record<string, { value: number } | undefined> };
      found.add(values["weight"]?.value ?? Number.NaN);
    }
  store.close();
  return found;
}

async function killedWhilePosting(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const trials = scale === "short" ? 4 : 60;
  const folder = mkdtempSync(join(tmpdir(), "kerb-webhook-"));
  const port = await freePort();
  const site = writeSite(folder, await freePort(), port);
  const agent = new Agent({ keepAlive: true, maxSockets: senders });
  const taken: number[] = [];
  const spentMs: number[] = [];
  let number = 0;
  let lost = 0;
  try {
    for (let i = 0; i < trials; i++) {
      const gateway = new Program("gateway", folder, launcher, ["run", site]);
      const ended = once(gateway.child, "exit");
      const over = new AbortController();
      const postOne = async () => {
        const weight = ++number / 10;
        const begunMs = performance.now();
        if ((await post(port, agent, weight)) !== 204) return false;
        taken.push(weight);
        spentMs.push(performance.now() - begunMs);
        return true;
      };
      await until("the webhook to answer", 60_000, async () => (await postOne()) || undefined);
      const sending = Array.from({ length: senders }, async () => {
        while (!over.signal.aborted) if (!(await postOne())) await sleep(5);
      });
      await sleep(200 + Math.random() * 800);
      gateway.child.kill("SIGKILL");
      await ended;
      over.abort();
      await Promise.all(sending);
      // Its host sees that it has gone, and goes as well.
      await sleep(500);
      const kept = weights(join(folder, "state", "outbox.db"));
      lost = taken.filter((weight) => !kept.has(weight)).length;
      say(`${i + 1} kills, ${taken.length} answers, ${lost} lost`);
    }
  } finally {
    agent.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
  const slow = [0.5, 0.99].map((share) => `${quantile(spentMs, share).toFixed(0)} ms`);
  const figure = `${lost} of ${taken.length} messages answered with 204 lost; answered within ${slow.join(" (p50), ")} (p99)`;
  return { trials, figure, passed: lost === 0 && taken.length > trials };
}

export const trials: Trial[] = [
  {
    id: "R32",
    name: "webhook: kill -9 while it is posted to",
    passLine: "0 messages answered with 204 lost",
    needs: [],
    run: killedWhilePosting,
  },
];
