import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import type { Simulator, SimulatorOptions } from "../simulator.ts";
import { start } from "./index.ts";

/** The pretend device before a client that is not ours. */

const run = promisify(execFile);
const hasCurl = spawnSync("curl", ["-V"], { stdio: "ignore" }).status === 0;
if (!hasCurl) console.warn("skipped: curl is not installed");
const running: Simulator[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.close();
});

async function simulate(
  settings: Record<string, unknown>,
  points: SimulatorOptions["points"],
): Promise<Simulator> {
  const simulator = await start({
    profile: "test/device",
    points,
    settings: { host: "127.0.0.1", port: 0, ...settings },
    identity: {},
  });
  running.push(simulator);
  return simulator;
}

const curl = async (...args: string[]): Promise<string> =>
  (
    await run("curl", ["-sS", "--max-time", "10", ...args]).catch(
      (error: { stdout: string; code: number }) => ({
        stdout: `curl ends with ${error.code}`,
      }),
    )
  ).stdout;

const point = (name: string, address: Record<string, unknown>) => ({ name, address, scale: 1, offset: 0 });
const level = point("level", {
  path: "/lamp",
  pick: "$.functions[?type=Lamp].level",
  write: { body: { level: "{value}" } },
});

describe.skipIf(!hasCurl)("curl", () => {
  it("logs in by digest, with nonces that grow stale, and not with a wrong password", async () => {
    const auth = { type: "digest", user: "kerb", password: "x y" };
    const simulator = await simulate({ auth }, [level]);
    simulator.set("level", 60);
    const url = `${simulator.address}/lamp`;
    const urls = Array.from({ length: 30 }, () => url);
    const all = await curl("--digest", "-u", "kerb:x y", ...urls);
    expect(all).toBe('{"functions":[{"type":"Lamp","level":60}]}'.repeat(30));
    expect(await curl("--digest", "-u", "kerb:wrong", "-o", "/dev/null", "-w", "%{http_code}", url)).toBe(
      "401",
    );
    expect(await curl("-u", "kerb:x y", "-o", "/dev/null", "-w", "%{http_code}", url)).toBe("401");
  });

  it("gets XML and CSV, what has not changed, and what is not there", async () => {
    const simulator = await simulate({ separator: ";", decimal: "," }, [
      point("wind", { path: "/w.xml", pick: "$.s.v[?@name=wind].#text", format: "xml" }),
      point("depth", { path: "/d.csv", pick: "$[-1].depth", format: "csv" }),
    ]);
    simulator.set("wind", 2.5);
    simulator.set("depth", 1.25);
    expect(await curl(`${simulator.address}/w.xml`)).toContain('<s><v name="wind">2,5</v></s>');
    expect(await curl(`${simulator.address}/d.csv`)).toBe("depth\r\n1,25\r\n");
    const tag = /etag: (\S+)/i.exec(await curl("-i", `${simulator.address}/d.csv`))?.[1] ?? "";
    const code = ["-o", "/dev/null", "-w", "%{http_code}"];
    expect(await curl(...code, "-H", `If-None-Match: ${tag}`, `${simulator.address}/d.csv`)).toBe("304");
    expect(await curl(...code, `${simulator.address}/x`)).toBe("404");
  });

  it("writes a value, which is then shown", async () => {
    const simulator = await simulate({}, [level]);
    const url = `${simulator.address}/lamp`;
    expect(await curl("-X", "PUT", "-d", '{"level":35}', "-o", "/dev/null", "-w", "%{http_code}", url)).toBe(
      "204",
    );
    expect(await curl(url)).toContain('"level":35');
    expect(await curl("-X", "PUT", "-d", "35", "-o", "/dev/null", "-w", "%{http_code}", url)).toBe("400");
  });

  it("meets the faults", async () => {
    const simulator = await simulate({}, [level]);
    const ends = async (fault: Parameters<Simulator["fault"]>[0], delayMs = 0) => {
      simulator.fault(fault, delayMs);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const text = await curl("--max-time", "1", `${simulator.address}/lamp`);
      simulator.fault(undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return text;
    };
    expect(await ends("silent")).toBe("curl ends with 28");
    expect(await ends("refuse")).toBe("curl ends with 7");
    expect(await ends("hangUp")).toBe("curl ends with 52");
    expect(await ends("garbage")).toMatch(/curl ends with (1|8|56)$/);
    expect(await ends("slow", 100)).toContain("level");
    expect(await ends(undefined)).toContain("level");
  });
});
