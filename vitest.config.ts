import { defineConfig } from "vitest/config";

const common = {
  setupFiles: ["test/setup.ts"],
  pool: "forks" as const,
  testTimeout: 30_000,
  hookTimeout: 30_000,
  teardownTimeout: 10_000,
  // Vitest gives up after one second, which is no time on a busy machine.
  expect: { poll: { timeout: 15_000 } },
};
const contract = "test/contract/*.test.ts";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: "kerb",
          include: [
            "gateway/**/*.test.ts",
            "drivers/**/*.test.ts",
            "simulators/**/*.test.ts",
            "test/**/*.test.ts",
          ],
          exclude: [contract],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // They wait for devices that do not answer: all drivers at once take no more than the slowest.
        test: {
          ...common,
          name: "contract",
          include: [contract],
          maxWorkers: 8,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
