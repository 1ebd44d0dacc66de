import { CommandRig } from "../command-rig.ts";

/**
 * Round trip of commands on loopback: from the IOC's call to the final state that it hears, one after the other.
 * `node test/bench/commands.ts [COUNT]` prints one JSON line; times are ms.
 */

const count = Number(process.argv[2] ?? 200);

function share(sorted: readonly number[], part: number): number {
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN) * 10) / 10;
}

function summary(times: readonly number[]): Record<string, number> {
  const sorted = times.toSorted((a, b) => a - b);
  return {
    p50: share(sorted, 0.5),
    p90: share(sorted, 0.9),
    p99: share(sorted, 0.99),
    max: share(sorted, 1),
  };
}

const rig = await CommandRig.start();
try {
  const commander = rig.commander();
  const accepted: number[] = [];
  const ended: number[] = [];
  const wrong: string[] = [];
  for (let n = 0; n < count; n++) {
    const startedMs = performance.now();
    const heard = ({ state }: { state: string }) => {
      if (state === "accepted") accepted.push(performance.now() - startedMs);
    };
    const { state, last } = await commander.execute(rig.wanted({ dim: (n % 20) * 5 }), rig.key, { heard });
    ended.push(performance.now() - startedMs);
    if (state !== "done") wrong.push(`${state} ${last?.code ?? ""}`);
  }
  const writes = rig.written.length;
  process.stdout.write(
    `${JSON.stringify({ commands: count, writes, wrong, acceptedMs: summary(accepted), doneMs: summary(ended) })}\n`,
  );
} finally {
  await rig.close();
}
