import { localTime, type MakeDialect } from "./dialect.ts";
import { short } from "./values.ts";

/** Reference analysers: Bayern-Hessen (Gesytec) with and without block check, and the BAM's own commands. */

/** ±dddd±ee with as many digits as four hold. */
function mantissaExponent(value: number): string {
  const sign = value < 0 ? "-" : "+";
  const size = Math.abs(value);
  if (size === 0) return "+0000+00";
  let exponent = Math.floor(Math.log10(size)) - 3;
  let mantissa = Math.round(size / 10 ** exponent);
  if (mantissa > 9999) {
    exponent += 1;
    mantissa = Math.round(size / 10 ** exponent);
  }
  const exponentText = `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return `${sign}${String(mantissa).padStart(4, "0")}${exponentText}`;
}

const stx = "\x02";

function blockCheck(text: string): string {
  let sum = 0;
  for (const byte of Buffer.from(text, "latin1")) sum ^= byte;
  return sum.toString(16).toUpperCase().padStart(2, "0");
}

const three = (text: string): string => (/^\d+$/.test(text) ? text.padStart(3, "0") : text);

/** BAM-1020: STX DA [nnn] CR, answered with MDnn and a line end. */
export const bayernHessenLine: MakeDialect = ({ values, station, identity }) => ({
  requestLength: (text) => text.indexOf("\r") + 1,
  answer(request) {
    const asked = /DA(\d{3})?\r$/.exec(request);
    if (
      asked === null ||
      request[asked.index - 1] !== stx ||
      (asked[1] !== undefined && asked[1] !== three(station))
    )
      return undefined;
    const items = values.items();
    const channels = items.map((item) => {
      const value = mantissaExponent(Number(values.raw("value", item)));
      return `${item} ${value} 82 00 ${(identity.serial ?? "001").slice(-3)} 000000`;
    });
    return { bytes: `MD${String(items.length).padStart(2, "0")} ${channels.join(" ")}\r` };
  },
});

/** Serinus: STX DA kkk ETX bcc, answered in the same frame. */
export const bayernHessenFramed: MakeDialect = ({ values, station }) => ({
  requestLength(text) {
    const end = text.indexOf("\x03");
    return end < 0 || text.length < end + 3 ? 0 : end + 3;
  },
  answer(request) {
    const query = request.slice(request.lastIndexOf(stx));
    const framed = /^.DA(\d{3})?.(..)$/.exec(query);
    if (framed === null || framed[2] !== blockCheck(framed[0].slice(0, -2))) return undefined;
    if (framed[1] !== undefined && framed[1] !== three(station)) return undefined;
    const value = mantissaExponent(Number(values.raw("value", "{station}")));
    // Bit 6 of the status: volumetric units.
    const text = `\x02MD01 ${three(station)} ${value} 40 00 001 000123 \x03`;
    return { bytes: text + blockCheck(text) };
  },
});

/** BAM-1020: escape commands behind a prompt that goes to sleep. */
export const bamEscape: MakeDialect = (instrument) => {
  let isAwake = false;
  const row = (hoursAgo: number): string => {
    const hour = new Date(Math.floor(instrument.now() / 3_600_000) * 3_600_000 - hoursAgo * 3_600_000);
    const [date = "", time = ""] = localTime({ ...instrument, now: () => hour.getTime() }).split(" ");
    const [year = "", month = "", day = ""] = date.split("-");
    const value = (field: string): string =>
      short(instrument.values.number(field) + (hoursAgo === 0 ? 0 : 1), 3);
    const cells = Array.from({ length: 11 }, () => "0");
    cells[0] = `${month}/${day}/${year.slice(2)} ${time.slice(0, 5)}`;
    cells[1] = value("concentration");
    cells[6] = value("relativeHumidity");
    cells[8] = value("airTemperature");
    cells[10] = value("reference");
    return cells.join(",");
  };
  return {
    requestLength(text) {
      if (text.startsWith("\r\r\r")) return 3;
      return text.startsWith("\r\r") || text === "\r" ? 0 : text.indexOf("\r") + 1;
    },
    answer(request) {
      if (request === "\r\r\r") {
        isAwake = true;
        return { bytes: "*" };
      }
      if (!isAwake) return undefined;
      if (request === "\x1bRV\r")
        return { bytes: `${request}BAM 1020 ${instrument.identity.firmware ?? ""}\r\n` };
      if (request !== "\x1bPR 1 8\r") return { bytes: "?\r\n" };
      // The unit sends the command back before it answers.
      return { bytes: `${request}${[7, 6, 5, 4, 3, 2, 1, 0].map((hour) => `${row(hour)}\r\n`).join("")}*` };
    },
  };
};

/** BAM-1022: a CSV line of the columns of its log. */
export const bamCsv: MakeDialect = (instrument) => ({
  everyMs: 1000,
  stream() {
    const { values } = instrument;
    const cell = (field: string): string => short(values.number(field), 3);
    const cells = ["concentrationRealTime", "concentrationHour"].map(cell);
    const rest = [
      "flow",
      "airTemperature",
      "relativeHumidity",
      "pressure",
      "filterTemperature",
      "filterHumidity",
    ];
    return `${[localTime(instrument), ...cells, "0.0", ...rest.map(cell)].join(",")}\r\n`;
  },
});
