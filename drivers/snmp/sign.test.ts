import { afterEach, expect, test } from "vitest";
import {
  answerTo,
  codeOf,
  connectTo,
  int,
  patient,
  pointsOf,
  readRequest,
  scriptedAgent,
} from "./testing.ts";
import { settingsOf, text, tlv } from "./testing.ts";

/** A sign that is written here object by object: what the driver makes of one that is lost half way. */

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** The end of an OID behind dms, 1.3.6.1.4.1.1206.4.2.3. */
const nameOf = (oid: Buffer): string => [...oid.subarray(10)].join(".");

async function sign(isAnswered: (name: string) => boolean) {
  let status = 1;
  let source = Buffer.alloc(5);
  const agent = await scriptedAgent((datagram, reply) => {
    const request = readRequest(datagram);
    const { oid, value } = request.varbinds[0]!;
    const name = nameOf(oid);
    if (!isAnswered(name)) return;
    if (request.type === 0xa3) {
      if (name === "5.8.1.9.3.1") status = value.at(-1) === 6 ? 2 : 4;
      if (name === "6.3.0") source = Buffer.from(value.subarray(5, 10));
      reply(answerTo(request, {}));
      return;
    }
    const known: Record<string, Uint8Array> = {
      "5.8.1.9.3.1": int(status),
      // CRC-16 of "A" with neither beacon nor pixel service, as any sum: the text is compared.
      "5.8.1.5.3.1": int(7),
      "5.8.1.3.3.1": text("A"),
      "6.5.0": tlv(4, source),
      "6.17.0": int(2),
      "6.25.0": int(1),
    };
    reply(answerTo(request, known[name] === undefined ? { status: 2, index: 1 } : { values: [known[name]] }));
  });
  const connection = await connectTo(settingsOf(agent.port, { version: "1", timeout: 100 }));
  open.push(agent, connection);
  const [point] = pointsOf({ sign: "message" });
  return codeOf(connection.write!(point!, "A", patient()));
}

test("a sign that answers all is shown a message", async () => {
  expect(await sign(() => true)).toBe("resolved");
});

test.each(["4.14.0", "4.5.0", "5.8.1.5.3.1", "5.8.1.3.3.1", "6.5.0", "6.25.0"])(
  "an answer that is lost is no answer that there is none: %s",
  async (name) => {
    expect(await sign((one) => one !== name)).toBe("silent");
  },
);
