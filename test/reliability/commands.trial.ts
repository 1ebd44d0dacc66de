import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandState, isFinal } from "../../gateway/commands/state.ts";
import { receiverApi } from "../../gateway/receiver/http.ts";
import type { Commander } from "../../gateway/receiver/commands/commander.ts";
import type { CommandRow } from "../../gateway/receiver/commands/record.ts";
import { makeCommand } from "../../gateway/receiver/commands/make.ts";
import { BrokerLink } from "../../gateway/receiver/mqtt.ts";
import { Receiver } from "../../gateway/receiver/receiver.ts";
import { until } from "../bench/processes.ts";
import { city, CommandRig } from "../command-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/**
 * R35: supervisor and hosts are killed at any moment of a command, again and again, while two callers send one after
 * the other, each with a number of its own. The simulator's log says what was written.
 */

/** Longer than a command takes. */
const delayMsMax = 25;
const callers = 2;
const settleMs = 60_000;

interface Sent {
  id: string;
  number: number;
}

/** The IOC's books, where each command has one row. */
class Books {
  readonly #receiver: Receiver;
  readonly #link: BrokerLink;

  constructor({ folder, broker }: CommandRig) {
    this.#receiver = new Receiver({ database: join(folder, "receiver.db"), ackIntervalMs: 200 });
    this.#link = new BrokerLink(this.#receiver, { broker: broker.url, city, name: "ioc", retryFirstMs: 50 });
    this.#link.open();
  }

  async row(id: string): Promise<CommandRow | undefined> {
    const answer = await receiverApi(this.#receiver).request(`/commands/${id}`);
    return answer.status === 200 ? ((await answer.json()) as CommandRow) : undefined;
  }

  async close(): Promise<void> {
    await this.#link.close();
    this.#receiver.close();
  }
}

/** Sends commands until the signal says so, and follows each to its end. */
async function call(
  rig: CommandRig,
  commander: Commander,
  sent: Sent[],
  next: () => number,
  end: AbortSignal,
): Promise<void> {
  while (!end.aborted) {
    const number = next();
    const command = makeCommand(rig.wanted({ count: number }), rig.key);
    sent.push({ id: command.id, number });
    await commander.follow(command, { graceMs: settleMs });
  }
}

/** How often each number was written. */
function writesOf(rig: CommandRig): Map<number, number> {
  const writes = new Map<number, number>();
  for (const what of rig.written) {
    const number = Number.parseInt(what.slice(what.lastIndexOf("=") + 1), 16);
    writes.set(number, (writes.get(number) ?? 0) + 1);
  }
  return writes;
}

/** What does not agree with what the device was told; undefined: it does. */
function contradiction(state: CommandState | undefined, writes: number): string | undefined {
  if (state === undefined || !isFinal(state)) return `no end, ${writes} writes`;
  const isRight = state.state === "done" ? writes === 1 : state.state !== "unknown" && writes === 0;
  return isRight ? undefined : `${state.state} ${state.code ?? ""}, ${writes} writes`;
}

async function killWhileCommanding(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const kills = scale === "short" ? 12 : 200;
  const rig = await CommandRig.start();
  const books = new Books(rig);
  const commanders = Array.from({ length: callers }, () => rig.commander());
  const sent: Sent[] = [];
  let number = 0;
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const end = new AbortController();
      const begun = sent.length;
      const calls = commanders.map((one) => call(rig, one, sent, () => ++number, end.signal));
      await until("commands", 10_000, () => (sent.length > begun ? true : undefined));
      await sleep(Math.random() * delayMsMax);
      await rig.stop();
      end.abort();
      await rig.run();
      await Promise.all(calls);
      if (kill % 10 === 0) say(`${kill} kills, ${sent.length} commands`);
    }
    const wrong: string[] = [];
    let cut = 0;
    let unknown = 0;
    for (const { id, number: ordered } of sent) {
      const row = await until(`the end of ${id}`, settleMs, async () => {
        const found = await books.row(id);
        return found?.certain === true && isFinal(found.state) ? found : undefined;
      }).catch(() => books.row(id));
      const states = row?.states.map(({ state }) => state) ?? [];
      if (states.some(({ state }) => state === "unknown")) unknown++;
      if (row?.state.resolved === true || row?.state.code === "KERB-CMD-RESTARTED") cut++;
      const said = contradiction(row?.state, writesOf(rig).get(ordered) ?? 0);
      if (said !== undefined) wrong.push(`${ordered}: ${said}`);
    }
    const twice = [...writesOf(rig).values()].filter((writes) => writes > 1).length;
    const figure =
      `${sent.length} commands, ${rig.written.length} written, ${twice} twice, ${cut} cut through, ` +
      `${unknown} unknown and resolved, ${wrong.length} not as told${wrong.length > 0 ? `: ${wrong.slice(0, 5).join("; ")}` : ""}`;
    return { trials: kills, figure, passed: wrong.length === 0 && twice === 0 && cut > 0 };
  } finally {
    await books.close();
    await rig.close();
  }
}

export const trials: Trial[] = [
  {
    id: "R35",
    name: "kill -9 of the gateway in the middle of a command",
    passLine: "each command written at most once; the IOC has an end of each, and it is what the device says",
    needs: ["mosquitto"],
    run: killWhileCommanding,
  },
];
