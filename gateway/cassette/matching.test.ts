import { describe, expect, it } from "vitest";
import type { Frame } from "./cassette.ts";
import { bytewise, counterOffsets, type Fit, findTurn } from "./matching.ts";
import { treewise } from "./tree.ts";
import { sidesOf, type Turn } from "./turns.ts";

function frame(from: Frame["from"], text: string): Frame {
  const parts = text.split(" ");
  return {
    ms: 0,
    from,
    bytes: Buffer.from(parts.map((part) => (part === "**" ? 0x78 : Number.parseInt(part, 16)))),
    hidden: Uint8Array.from(parts, (part) => (part === "**" ? 1 : 0)),
  };
}

function turnsOf(over: "tcp" | "udp", pairs: [asked: string, told: string][]): Turn[] {
  const frames = pairs.flatMap(([asked, told]) => [frame("kerb", asked), frame("device", told)]);
  return sidesOf({ over, connections: [frames] }).flatMap(({ turns }) => turns);
}

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

function answer(turns: readonly Turn[], cursor: number, live: string, fits: readonly Fit[]) {
  const found = findTurn(turns, cursor, bytes(live), fits);
  if (found === undefined || found === "begins") return found;
  return Buffer.concat(found.answers.map((one) => one.bytes)).toString("hex");
}

// Modbus TCP: two reads of two registers, the third and fourth of another one.
const modbus = turnsOf("tcp", [
  ["00 01 00 00 00 06 01 04 00 00 00 02", "00 01 00 00 00 07 01 04 04 11 11 11 11"],
  ["00 02 00 00 00 06 01 04 00 10 00 02", "00 02 00 00 00 07 01 04 04 22 22 22 22"],
  ["00 03 00 00 00 06 01 04 00 00 00 02", "00 03 00 00 00 07 01 04 04 33 33 33 33"],
  ["00 04 00 00 00 06 01 04 00 00 00 02", "00 04 00 00 00 07 01 04 04 44 44 44 44"],
]);
const counting = [bytewise(new Set()), bytewise(counterOffsets(modbus))];

describe("requests with a number that counts", () => {
  it("get the recorded answer with their own number", () => {
    expect([...counterOffsets(modbus)].toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect(answer(modbus, 0, "00 63 00 00 00 06 01 04 00 10 00 02", counting)).toBe(
      "00630000000701040422222222",
    );
    expect(answer(modbus, 0, "01 63 00 00 00 06 01 04 00 00 00 02", counting)).toBe(
      "01630000000701040411111111",
    );
  });

  it("get the next recorded answer, and the last one where the tape is over", () => {
    expect(answer(modbus, 1, "00 63 00 00 00 06 01 04 00 00 00 02", counting)).toMatch(/33333333$/);
    expect(answer(modbus, 4, "00 63 00 00 00 06 01 04 00 00 00 02", counting)).toMatch(/44444444$/);
  });

  it("get nothing where they ask for what is not on the tape, and the rest is waited for", () => {
    expect(answer(modbus, 0, "00 63 00 00 00 06 01 04 00 20 00 02", counting)).toBeUndefined();
    expect(answer(modbus, 0, "00 63 00 00 00 06 02 04 00 00 00 02", counting)).toBeUndefined();
    expect(answer(modbus, 0, "00 63 00 00 00 06 01", counting)).toBe("begins");
  });

  it("are none where the answers do not tell them back: that is what is asked for", () => {
    const asked = turnsOf("tcp", [
      ["01 f0 05", "01 f0 aa"],
      ["01 f0 06", "01 f0 bb"],
    ]);
    const fits = [bytewise(new Set()), bytewise(counterOffsets(asked))];
    expect(answer(asked, 0, "01 f0 06", fits)).toBe("01f0bb");
    expect(answer(asked, 0, "01 f0 07", fits)).toBeUndefined();
  });

  it("are none where the protocol is text: the name of a channel is told back as well", () => {
    const channels = turnsOf("tcp", [
      ["52 31 0d", "52 31 3d 35 0d"],
      ["52 32 0d", "52 32 3d 36 0d"],
    ]);
    const fits = [bytewise(new Set()), bytewise(counterOffsets(channels))];
    expect(answer(channels, 0, "52 32 0d", fits)).toBe("52323d360d");
    expect(answer(channels, 0, "52 33 0d", fits)).toBeUndefined();
  });
});

// SNMP GET of two objects, with ids of 4 and 3 bytes; the community is scrubbed.
const snmp = turnsOf("udp", [
  [
    "30 21 02 01 01 04 04 ** ** ** ** a0 16 02 04 05 98 80 04 02 01 00 02 01 00 30 08 30 06 06 02 2b 0a 05 00",
    "30 22 02 01 01 04 04 ** ** ** ** a2 17 02 04 05 98 80 04 02 01 00 02 01 00 30 09 30 07 06 02 2b 0a 02 01 2a",
  ],
  [
    "30 20 02 01 01 04 04 ** ** ** ** a0 15 02 03 06 3e 64 02 01 00 02 01 00 30 08 30 06 06 02 2b 10 05 00",
    "30 21 02 01 01 04 04 ** ** ** ** a2 16 02 03 06 3e 64 02 01 00 02 01 00 30 09 30 07 06 02 2b 10 02 01 2b",
  ],
]);

const hex = (n: number): string => n.toString(16).padStart(2, "0");

function get(oid: string, id: string, community: string): string {
  const [head, pdu] = [2 + community.length / 2, id.length / 2 + 2 + 6 + 10];
  const start = `30${hex(3 + head + pdu + 2)}02010104${hex(community.length / 2)}${community}`;
  return `${start}a0${hex(pdu)}02${hex(id.length / 2)}${id}0201000201003008300606022b${oid}0500`;
}

describe("requests that are a tree", () => {
  it("get their own id, of another length, and their own community", () => {
    const found = answer(snmp, 0, get("0a", "112233", "7075626c6963"), [treewise]);
    expect(found).toBe("302302010104067075626c6963a21602031122330201000201003009300706022b0a02012a");
  });

  it("get the answer to their own object", () => {
    expect(answer(snmp, 0, get("10", "05988004", "78787878"), [treewise])).toMatch(/2b1002012b$/);
    expect(answer(snmp, 0, get("11", "05988004", "78787878"), [treewise])).toBeUndefined();
  });
});
