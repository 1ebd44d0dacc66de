import { BaseSequencer, type TestSpecification } from "vitest/node";
import { defineConfig } from "vitest/config";

const contract = "test/contract/*.test.ts";

const isContract = ({ project }: TestSpecification): boolean => project.name === "contract";

/** The contract suite waits for devices that do not answer, so it begins first and its files run beside all others. */
class ContractFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted.filter(isContract), ...sorted.filter((file) => !isContract(file))];
  }
}

const common = {
  setupFiles: ["test/setup.ts"],
  pool: "forks" as const,
  testTimeout: 30_000,
  hookTimeout: 30_000,
  teardownTimeout: 10_000,
  // Vitest gives up after one second, which is no time on a busy machine.
  expect: { poll: { timeout: 15_000 } },
};

export default defineConfig({
  test: {
    maxWorkers: 8,
    sequence: { sequencer: ContractFirst },
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
        },
      },
      { test: { ...common, name: "contract", include: [contract] } },
    ],
  },
});
