import type { Cassette, Frame } from "./cassette.ts";
import type { Player, PlayerOptions } from "./playing.ts";

/** Plays what was asked and answered in a session: a server that has what the recorded one told. */

/** The simulators' server for it. */
type StartRecorded = (
  messages: readonly Pick<Frame, "ms" | "from" | "bytes">[],
  options: Required<Pick<PlayerOptions, "host" | "port" | "gapMsMax" | "log">>,
) => Promise<Player>;

/** Rejects with the socket's error when the place is taken. */
export async function startServer(
  cassette: Cassette,
  { host = "127.0.0.1", port = 0, gapMsMax, log }: PlayerOptions,
): Promise<Player> {
  const name = "opcua";
  const { startRecorded } = (await import(`../../simulators/${name}/index.ts`)) as {
    startRecorded: StartRecorded;
  };
  return startRecorded(cassette.connections.flat(), { host, port, gapMsMax, log });
}
