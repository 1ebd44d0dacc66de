import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Trial } from "./trial.ts";

const soak = fileURLToPath(new URL("../simulation/soak.ts", import.meta.url));

export const trials: Trial[] = [
  {
    id: "R27",
    name: "seeded simulation in virtual time",
    passLine: "every invariant of R14 in every seed; a failing seed is printed",
    needs: [],
    run: async (scale, say) => {
      const seeds = scale === "short" ? 200 : 10_000;
      const hours = scale === "short" ? 0.25 : 24;
      const child = spawn(process.execPath, [soak, "--seeds", `${seeds}`, "--hours", `${hours}`], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      child.stdout.on("data", (bytes: Buffer) => (text += bytes.toString()));
      const [status] = (await once(child, "close")) as [number | null];
      const lines = text.trimEnd().split("\n");
      for (const line of lines.slice(0, -1)) say(line);
      return { trials: seeds, figure: lines.at(-1) ?? "it said nothing", passed: status === 0 };
    },
  },
];
