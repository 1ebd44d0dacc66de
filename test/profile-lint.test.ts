import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

/** `kerb profile lint` as a person calls it. */

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kerb-profile-lint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function kerb(...args: string[]): { code: number; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(join(root, "gateway/kerb"), args, {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8" },
    encoding: "utf8",
    timeout: 25_000,
  });
  return { code: status ?? -1, out: stdout, err: stderr };
}

const level = readFileSync(join(root, "firmware-profiles/qdy/qdy30a.yaml"), "utf8");
mkdirSync(join(folder, "mine"));
const own = (name: string, from: string, to: string): string => {
  writeFileSync(join(folder, "mine", name), level.replace(from, to));
  return `mine/${name}`;
};

describe("kerb profile lint", () => {
  it("shows the place of a finding in a file of one's own, counts, and ends with 6", () => {
    const { code, out } = kerb("profile", "lint", own("beyond.yaml", "[-0.2, 30]", "[-0.2, 40]"));
    expect(code).toBe(6);
    expect(out.split("\n")).toEqual([
      "mine/beyond.yaml:32:13  error  the limits -0.2 … 40 go beyond -32.768 … 32.767, all that the raw type and the scale can give",
      "   32 |     limits: [-0.2, 40]",
      "      |             ^",
      "1 profile: 1 error, 0 warnings",
      "",
    ]);
  });

  it("speaks Vietnamese, and takes profiles of kerb by their id", () => {
    const file = own("typical.yaml", "typical: [0.8, 2.4]", "typical: [0.8, 31]");
    const { code, out } = kerb("profile", "lint", "qdy/qdy30a", file, "--lang", "vi");
    expect(code).toBe(6);
    expect(out).toContain(
      "mine/typical.yaml:33:14  lỗi  giá trị thường gặp 0.8 … 31 nằm ngoài giới hạn -0.2 … 30\n",
    );
    expect(out).toContain("mine/typical.yaml:4:8  lỗi  hồ sơ qdy/qdy30a dành cho cùng một model");
    expect(out).toMatch(/\n2 hồ sơ: 2 lỗi, 0 cảnh báo\n$/);
  });

  it("ends with 78 where a file does not load, and tells machines both", () => {
    const { code, out } = kerb("profile", "lint", own("broken.yaml", "unit: m\n", "unit: metre\n"), "--json");
    expect(code).toBe(78);
    const answer = JSON.parse(out) as { ok: boolean; data: { errors: number; findings: object[] } };
    expect(answer).toMatchObject({ kind: "profile-lint", ok: false, data: { profiles: 1, errors: 1 } });
    expect(answer.data.findings[0]).toMatchObject({
      rule: "file",
      file: "mine/broken.yaml",
      line: 29,
      column: 11,
    });
  });

  // The whole library is read.
  it(
    "finds nothing in the library, and says what a mistyped name or verb means",
    { timeout: 120_000 },
    () => {
      const library = kerb("profile", "lint");
      expect(library.out).toMatch(/^\d+ profiles, no findings\n$/);
      expect(library.code).toBe(0);
      expect(kerb("profile", "lint", "qdy/qdy30")).toMatchObject({
        code: 3,
        err: expect.stringContaining(
          'there is no profile "qdy/qdy30" - did you mean "qdy/qdy30a"?',
        ) as string,
      });
      expect(kerb("profile", "lnt")).toMatchObject({
        code: 2,
        err: expect.stringContaining("did you mean: kerb profile lint?") as string,
      });
    },
  );
});
