import { beforeAll, describe, expect, it } from "vitest";
import { loadSite } from "./config.ts";
import { head, heads, meter, profileFolder, write } from "./testing.ts";
import { sentenceInVietnamese } from "./vietnamese.ts";

/** What a site file may say of schedules, and what it is told where that is wrong, in both languages. */

beforeAll(() => {
  const points = `points:
  dim: { address: { table: holding, register: 0 }, unit: "%", write: { limits: [0, 100], step: 5, leaseMax: 12h } }
  lamp: { address: { table: coil, register: 1 }, kind: boolean, write: {} }
  gate: { address: { table: coil, register: 2 }, kind: boolean, write: { safety: true } }
  held: { address: { table: coil, register: 3 }, kind: boolean, write: { leaseMax: 1h, refresh: 1s } }
  energy: { address: { table: input, register: 6 }, unit: kW.h }
`;
  write("profiles/acme/lamps.yaml", meter.replace(/points:[^]*/, points));
  const signals = points.replace("dim:", "plan:").replace("energy-meter", "signal-controller");
  write(
    "profiles/acme/crossing.yaml",
    meter.replace(/points:[^]*/, signals).replace("energy-meter", "signal-controller"),
  );
});

const times = `      dim:
        - { at: "17:45", value: 100 }
        - { at: "23:00", value: 50, days: [mon, tue, wed, thu, fri] }
        - { at: "23:00", value: 70, days: [sat, sun] }
        - { at: "05:30", value: 0 }
`;
const device = (
  schedules: string,
  profile = "lamps",
  open = "allow: [dim, lamp, gate, held]",
) => `${head}devices:
  - id: light-01
    driver: modbus
    profile: acme/${profile}
    transport: { type: tcp, host: 10.0.0.5 }
    write: { ${open} }
    schedules:
${schedules}`;
const sound = device(times);

describe("schedules of a site file", () => {
  it("are those of the device, in the time of the site", async () => {
    const site = await loadSite(write("sound.yaml", sound), { profileFolder });
    expect(site.gateway.timeZone).toBe("Asia/Ho_Chi_Minh");
    expect(site.devices[0]?.schedules?.["dim"]?.[1]).toEqual({
      at: "23:00",
      value: 50,
      days: ["mon", "tue", "wed", "thu", "fri"],
    });
  });

  it("follow the sun where it is known where they are", async () => {
    const sun = sound.replace("17:45", "sunset-15m");
    const placed = sun.replace("state: ./state", "state: ./state, location: { lat: 10.8, lon: 106.7 }");
    const site = await loadSite(write("sun.yaml", placed), { profileFolder });
    expect(site.devices[0]?.schedules?.["dim"]?.[0]?.at).toBe("sunset-15m");
  });

  const wrong: [text: string, expected: string, vietnamese: string][] = [
    [
      sound.replace("17:45", "25:00"),
      'bad.yaml:11:17  expected a local time such as "17:45", or "sunset-15m", "sunrise+1h" (at most 6h before or after), found "25:00"',
      'cần giờ địa phương như "17:45", hoặc "sunset-15m", "sunrise+1h" (sớm hay muộn tối đa 6h), đang là "25:00"',
    ],
    [
      sound.replace("17:45", "sunset"),
      'bad.yaml:11:17  "sunset" needs a place: enter "location" in "gateway", or at the device',
      '"sunset" cần biết vị trí: hãy ghi "location" trong "gateway", hoặc ở thiết bị',
    ],
    [
      sound.replace("value: 100", "value: 101"),
      "bad.yaml:11:33  dim = 101: from 0 to 100",
      "dim = 101: phải từ 0 đến 100",
    ],
    [
      sound.replace("value: 100", "value: 99"),
      "bad.yaml:11:33  dim = 99: only multiples of 5 from 0",
      "dim = 99: chỉ nhận bội số của 5 tính từ 0",
    ],
    [
      sound.replace("value: 100", "value: true"),
      "bad.yaml:11:33  dim = true: expected a number",
      "dim = true: cần số",
    ],
    [
      sound.replace('"05:30"', '"18:00"'),
      'bad.yaml:14:17  "18:00" is not in its order: write the times as they follow, over midnight once',
      '"18:00" sai thứ tự: hãy viết các giờ lần lượt, qua nửa đêm một lần',
    ],
    [
      sound.replace("[sat, sun]", "[fri, sat]"),
      'bad.yaml:13:17  "23:00" is there twice for one day: leave one of the two out',
      '"23:00" có hai lần trong một ngày: hãy bỏ một trong hai',
    ],
    [
      sound.replace("      dim:", "      dmi:"),
      'bad.yaml:10:7  this device has no point "dmi" - did you mean "dim"?',
      'thiết bị này không có điểm đo "dmi" - có phải ý bạn là "dim"?',
    ],
    [
      device(times, "lamps", "allow: [lamp]"),
      'bad.yaml:10:7  "dim" is not open for writing: enter it in write.allow',
      '"dim" chưa được mở ghi: hãy thêm vào write.allow',
    ],
    [
      device('      gate: [{ at: "17:45", value: true }]\n'),
      'bad.yaml:10:7  "gate" is a safety point: it is armed by hand each time',
      '"gate" là điểm an toàn: mỗi lần phải có người xác nhận',
    ],
    [
      device('      held: [{ at: "17:45", value: true }]\n'),
      'bad.yaml:10:7  "held" is held by leases only: its device falls back by itself',
      '"held" chỉ giữ được bằng lệnh tạm: thiết bị tự trở về',
    ],
    [
      device(times, "lamps", "allow: [dim], confirm: two-person"),
      'bad.yaml:10:7  "dim" is written by two persons only (write.confirm)',
      '"dim" chỉ được ghi khi có hai người (write.confirm)',
    ],
    [
      device('      plan: [{ at: "17:45", value: 5 }]\n', "crossing", "allow: [plan]"),
      "bad.yaml:10:7  a signal controller has no schedules here: it keeps its plans by itself",
      "tủ đèn tín hiệu không có lịch ở đây: nó tự chạy kế hoạch của mình",
    ],
    [
      sound.replace("state: ./state", "state: ./state, timeZone: Asia/Saigonn"),
      'bad.yaml:2:74  expected the name of a time zone such as Asia/Ho_Chi_Minh, found "Asia/Saigonn"',
      'cần tên múi giờ như Asia/Ho_Chi_Minh, đang là "Asia/Saigonn"',
    ],
  ];
  it.each(wrong)("say what is wrong (%#)", async (text, expected, vietnamese) => {
    expect(await heads(text)).toEqual([expected]);
    expect(sentenceInVietnamese(expected.replace(/^\S+ {2}/, ""))).toBe(vietnamese);
  });

  it("take each order that goes over midnight once", async () => {
    for (const at of [["05:30", "17:45", "23:00"], ["23:00", "05:30", "17:45"], ["00:00"]]) {
      const list = at.map((time) => `        - { at: "${time}", value: 5 }\n`).join("");
      await loadSite(write("order.yaml", device(`      dim:\n${list}`)), { profileFolder });
    }
    const list = ["23:00", "05:30", "17:45", "06:00"].map(
      (time) => `        - { at: "${time}", value: 5 }\n`,
    );
    expect(await heads(device(`      dim:\n${list.join("")}`))).toHaveLength(1);
  });
});
