import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));

it("a password that was given as an argument is not left for other users to read", async () => {
  const silent = createServer((socket) => void socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const broker = `mqtt://127.0.0.1:${port}`;
  const connected = once(silent, "connection");
  const args = ["discover", "--broker", broker, "--username", "kerb", "--password", "Canary-71"];
  const program = spawn(launcher, args, { stdio: "ignore" });
  try {
    await connected;
    expect(readFileSync(`/proc/${program.pid}/cmdline`, "utf8")).not.toContain("Canary");
  } finally {
    program.kill("SIGKILL");
    silent.close();
  }
}, 60_000);
