import { describe, expect, it } from "vitest";
import { type Cassette, cassetteText, filler, type Frame, parseCassette } from "./cassette.ts";
import { formsOf, scrub, veiled } from "./scrub.ts";

const secret = "Geheim-9-Wört";

function frames(from: Frame["from"], ...chunks: (string | Buffer)[]): Frame[] {
  return chunks.map((chunk, ms) => {
    const bytes = Buffer.from(chunk as string);
    return { ms, from, bytes, hidden: new Uint8Array(bytes.length) };
  });
}

function scrubbed(list: Frame[], secrets: string[] = [secret]) {
  const given = secrets.map((text) => ({ what: "password", text }));
  const result = scrub([list], given);
  return { ...result, text: Buffer.concat(list.map(({ bytes }) => bytes)).toString("latin1") };
}

describe("what is scrubbed", () => {
  it.each(formsOf(secret).map((form) => [form.toString("latin1"), form]))(
    "%j, also over two frames",
    (_, form) => {
      const whole = Buffer.concat([Buffer.from("<a>"), form, Buffer.from("</a>")]);
      const { text, found } = scrubbed(frames("device", whole.subarray(0, 6), whole.subarray(6)));
      expect(text).toBe(`<a>${"x".repeat(form.length)}</a>`);
      expect(found).toEqual(["password"]);
    },
  );

  it("a password inside of base64, wherever it begins", () => {
    for (const user of ["a", "ab", "abc"]) {
      const coded = Buffer.from(`${user}:${secret}:more`).toString("base64");
      const { text } = scrubbed(frames("kerb", `{"login":"${coded}"}`));
      expect(text.match(/x{8,}/)?.[0].length).toBeGreaterThan(12);
      for (const form of formsOf(secret)) expect(text).not.toContain(form.toString("latin1"));
    }
  });

  it("what looks like a login, a time of kerb's, a plate", () => {
    const request =
      'GET / HTTP/1.1\r\nAuthorization: Digest response="0f"\r\nX-Api-Key: 1234\r\n\r\n<b>2026-11-22T08:30:00Z</b>';
    expect(scrubbed(frames("kerb", request)).text).toBe(
      "GET / HTTP/1.1\r\nAuthorization: xxxxxxxxxxxxxxxxxxxx\r\nX-Api-Key: xxxx\r\n\r\n<b>xxxxxxxxxxxxxxxxxxxx</b>",
    );
    expect(scrubbed(frames("device", '{"p":"51F-123.45","at":"2026-11-22T08:30:00Z"}'), []).text).toBe(
      '{"p":"xxxxxxxxxx","at":"2026-11-22T08:30:00Z"}',
    );
  });

  it.each([
    ['{"plate":{"text":"GR 123 AB","sure":0.98}}', '{"plate":{"text":"xxxxxxxxx","sure":1.11}}'],
    ['{"plates":["ABC 1234",{"n":-7}],"t":21.5}', '{"plates":["xxxxxxxx",{"n":-1}],"t":21.5}'],
    ['{"person":{"name":"Nguyen Van A"},"name":"gate"}', '{"person":{"name":"xxxxxxxxxxxx"},"name":"gate"}'],
    ['{"face_id":8812, "isFace": true}', '{"face_id":1111, "isFace": true}'],
    ['{"phone":"+84912345678","wifi_pass":"abc"}', '{"phone":"xxxxxxxxxxxx","wifi_pass":"xxx"}'],
    ['{"mqtt_password":"p\\"q","authToken":"t1"}', '{"mqtt_password":"xxxx","authToken":"xx"}'],
    ['{"passcode":1234,"ownerName":null}', '{"passcode":1111,"ownerName":null}'],
    ['{"interface":"eth0","template":"a","personCount":5,"passengers":3}', undefined],
    ['{"photovoltaicPower":12,"photocell":"on","mqtt_ping_ms":3,"compass":"N"}', undefined],
    ['{"sim_pin":4321,"photoUrl":"/p/1"}', '{"sim_pin":1111,"photoUrl":"xxxx"}'],
    [
      "<e><licensePlate>GR123AB</licensePlate><n>1</n></e>",
      "<e><licensePlate>xxxxxxx</licensePlate><n>1</n></e>",
    ],
    [
      '<tt:SimpleItem Name="PlateNumber" Value="GR123AB"/>',
      '<tt:SimpleItem Name="PlateNumber" Value="xxxxxxx"/>',
    ],
    ['<tt:SimpleItem Name="VideoSourceToken" Value="v1"/><a Name="IsFace" Value="true"/>', undefined],
    ["GET /api?token=ab-1&a=2&password=p%20q HTTP/1.1", "GET /api?token=xxxx&a=2&password=xxxxx HTTP/1.1"],
  ])("what is called like a secret or a person: %s", (told, left) => {
    expect(scrubbed(frames("device", told.slice(0, 20), told.slice(20)), []).text).toBe(left ?? told);
  });

  describe("in chunks", () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    it.each([
      ["a secret", "4\r\n<Geh\r\nA\r\neim-9-Wort\r\n2;o=Geheim\r\n>.\r\n0\r\n\r\n", "<xxx|xxxxxxxxxx|>."],
      ["a name", '5\r\n{"own\r\n09  \r\ner":"An"}\r\n0\r\n\r\n', '{"own|er":"xx"}'],
      ["a number", '8\r\n{"pin":1\r\n6\r\n234,"a\r\n4\r\n":1}\r\n0\r\n\r\n', '{"pin":1|111,"a|":1}'],
      ["a login", "5\r\n?a=1&\r\n7\r\npwd=abc\r\n5\r\nd&b=2\r\n", "?a=1&|pwd=xxx|x&b=2"],
      ["a chunk that is not whole", "4\r\n<Geh\r\nFF\r\neim-9-Wort", "<xxx|xxxxxxxxxx"],
    ])("%s", (_, body, left) => {
      const secrets = ["Geheim-9-Wort", "1234"].map((text) => ({ what: "password", text }));
      // Two other answers come before it on the same connection.
      const before = `HTTP/1.1 204 No\r\n\r\n${head}2\r\nok\r\n0\r\n\r\n`;
      const list = frames("device", before, head, body.slice(0, 9), body.slice(9));
      scrub([list], secrets);
      const text = Buffer.concat(list.map(({ bytes }) => bytes)).toString();
      const chunks = text
        .split(head)
        .slice(1)
        .map((one) =>
          one
            .replaceAll(/^[\da-f]+ *(;x+)?\r\n|\r\n0\r\n\r\n$/gi, "")
            .replaceAll(/\r\n[\da-f]+ *(;x+)?\r\n/gi, "|"),
        );
      expect(chunks.map((one) => one.replace(/\r\n$/, ""))).toEqual(["ok", left]);
    });
  });

  it("pictures that are written as text", () => {
    const picture = Buffer.concat([Buffer.from("ffd8ffe0", "hex"), Buffer.alloc(60, 7)]).toString("base64");
    const long = "QUJD".repeat(200);
    expect(scrubbed(frames("device", `{"image":"${picture}","data":"${long}"}`), []).text).toBe(
      `{"image":"${"x".repeat(picture.length)}","data":"${"x".repeat(long.length)}"}`,
    );
  });

  it("a name of a host, and no word that it is part of", () => {
    const list = frames("device", "zigbee2mqtt/plug mqtt-2 at mqtt:1883, MQTT");
    scrub([list], [{ what: "addresses", text: "mqtt", isWord: true }]);
    expect(list[0]?.bytes.toString()).toBe("zigbee2mqtt/plug mqtt-2 at xxxx:1883, xxxx");
    expect(veiled({ a: "zigbee2mqtt", b: "on mqtt" }, [{ what: "a", text: "mqtt", isWord: true }])).toEqual({
      a: "zigbee2mqtt",
      b: "on xxxx",
    });
  });

  it("is told where it was nowhere", () => {
    expect(scrubbed(frames("device", "nothing of it")).nowhere).toHaveLength(1);
  });
});

it("a cassette is the same after it was written and read", () => {
  const cassette: Cassette = {
    cassette: 1,
    profile: "acme/x",
    driver: "modbus",
    recorded: "2026-11-22T08:30:00.000Z",
    kerb: "0.1.0",
    over: "tcp",
    way: "asks",
    identity: { model: 'X: "1"' },
    settings: { unit: 1 },
    scrubbed: ["community"],
    limits: [],
    unstable: [],
    connections: [
      [
        { ms: 1, from: "kerb", bytes: Buffer.from([1, 0x7c, 3]), hidden: new Uint8Array(3) },
        {
          ms: 2,
          from: "device",
          bytes: Buffer.alloc(40, filler),
          hidden: new Uint8Array(40).fill(1, 10, 20),
        },
        { ms: 3, from: "device", bytes: Buffer.alloc(0), hidden: new Uint8Array(0) },
      ],
      [],
    ],
    reads: [{ "a.b": { value: 1.5, unit: "V", decimals: 1, status: "good" } }, {}],
    records: [{ kind: "alarm", data: { record: "door", values: { open: { value: true } } } }],
  };
  expect(parseCassette(cassetteText(cassette), "x.yaml")).toEqual(cassette);
});
