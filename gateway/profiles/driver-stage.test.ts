import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { codeHash, driverStage } from "./driver-stage.ts";

let folder: string;
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-stage-"));
  for (const path of ["drivers/acme/frames", "simulators/acme"])
    mkdirSync(join(folder, path), { recursive: true });
  write("drivers/acme/index.ts", "export const a = 1;\n");
  write("simulators/acme/index.ts", "export const b = 1;\n");
});
afterEach(() => rmSync(folder, { recursive: true }));

function prove(more: Record<string, unknown> = {}): void {
  const proof = { proved: "2026-11-22", passed: 7, planned: 7, skipped: [], code: codeHash("acme", folder) };
  write("drivers/acme/proof.json", JSON.stringify({ ...proof, ...more }));
}

const shown = () => {
  const { stage, doubt } = driverStage("acme", folder);
  return doubt === undefined ? stage : `${stage}: ${doubt}`;
};

describe("the stage of a driver", () => {
  it("is simulated while the code is that of the proof, and no longer", () => {
    expect(shown()).toBe("unproven: no-proof");
    prove();
    expect(shown()).toBe("simulated");
    write("simulators/acme/index.ts", "export const b = 2;\n");
    expect(shown()).toBe("unproven: changed");
    prove();
    write("drivers/acme/wire.ts", "export const c = 1;\n");
    expect(shown()).toBe("unproven: changed");
  });

  it("is unproven when what simulators share has changed", () => {
    write("simulators/media.ts", "export const m = 1;\n");
    prove();
    write("simulators/media.ts", "/** Where they listen. */\nexport const m = 1;\n");
    expect(shown()).toBe("simulated");
    write("simulators/media.ts", "export const m = 2;\n");
    expect(shown()).toBe("unproven: changed");
  });

  it("is not changed by a comment or a test", () => {
    prove();
    write("drivers/acme/index.ts", "/**\n * What a is.\n */\n\n// why\nexport const a = 1;\n");
    write("drivers/acme/index.test.ts", "throw 1;\n");
    expect(shown()).toBe("simulated");
  });

  it("is that of the profiles with which it was proved", () => {
    mkdirSync(join(folder, "firmware-profiles/maker"), { recursive: true });
    write("firmware-profiles/README.md", "driver: acme\n");
    write("firmware-profiles/maker/a.yaml", "driver: acme\nscale: 1\n");
    write("firmware-profiles/maker/b.yaml", "driver: acmes\nscale: 1\n");
    prove();
    write("firmware-profiles/maker/a.yaml", "# what a is\ndriver: acme\n\nscale: 1\n");
    write("firmware-profiles/maker/b.yaml", "driver: acmes\nscale: 2\n");
    expect(shown()).toBe("simulated");
    write("firmware-profiles/maker/a.yaml", "driver: acme\nscale: 2\n");
    expect(shown()).toBe("unproven: changed");
  });

  it("is not to be had by writing it down", () => {
    prove({ passed: 6 });
    expect(shown()).toBe("unproven: incomplete");
    prove({ passed: 0, planned: 0 });
    expect(shown()).toBe("unproven: incomplete");
    prove({ stage: "field-proven", code: "simulated" });
    expect(shown()).toBe("unproven: changed");
    write("drivers/acme/proof.json", "{");
    expect(shown()).toBe("unproven: no-proof");
  });

  it("is field-proven with captured frames, and not with constructed ones", () => {
    prove();
    write("drivers/acme/frames/spec.txt", "# constructed, not captured: \nrequest: 01\n");
    expect(shown()).toBe("simulated");
    write(
      "drivers/acme/frames/real.txt",
      "captured: Acme K-1, firmware 2.1, 2026-11-02, T. Tran\nrequest: 01\n",
    );
    expect(shown()).toBe("field-proven");
    write("drivers/acme/index.ts", "export const a = 3;\n");
    expect(shown()).toBe("unproven: changed");
  });

  it("is planned without code", () => {
    rmSync(join(folder, "drivers/acme/index.ts"));
    prove();
    expect(shown()).toBe("planned");
  });
});
