import type { LeftOut } from "../../driver.ts";
import { words } from "../../words.ts";

/** What was asked for at most. */
interface Limits {
  limit: number;
  depth: number;
  waitMs: number;
}

const refusedAt = ({ place = "?", reason = "" }: LeftOut): string => `${place}  ${reason}`;

/** The words of `kerb browse`. */
export const browseWords = words({
  en: {
    nameColumn: "NAME",
    typeColumn: "TYPE",
    accessColumn: "ACCESS",
    rangeColumn: "RANGE",
    command: "command",
    record: "record",
    ownSession: "listed with a session of its own",
    underCure:
      "name a place with --under as the driver's addresses have it: i=85, a path from the device's root, holding 0-199, 1.3.6.1.4.1, /api/status",
    settingsNeeded: "these addresses need in the device's settings",
    cannot: (driver: string) => `the driver ${driver} has no way to ask a device what it has`,
    cannotCure: "see the device's manual, or kerb profiles for the models that are known",
    entries: (count: number, commands: number, guesses: number) =>
      `${count} ${count === 1 ? "entry" : "entries"}${commands === 0 ? "" : `, ${commands} of them commands`}${guesses === 0 ? "" : `, ${guesses} of them guesses`}`,
    left: (one: LeftOut, { limit, depth, waitMs }: Limits) => {
      const { entries = 0, branches = 0 } = one;
      const seen = `${entries} more seen, ${branches} branches not looked into`;
      const texts: Record<LeftOut["left"], string> = {
        limit: `left out by the limit of ${limit}: ${seen} (--limit, --under)`,
        depth: `left out below ${depth} levels: ${branches} branches (--depth, --under)`,
        time: `left out after ${waitMs / 1000} s: ${seen} (--wait, --under)`,
        bound: `left out because it is more than the driver keeps in mind: ${seen} (--under)`,
        refused:
          one.place === undefined
            ? `refused by the device as well: ${branches} branches`
            : `refused by the device: ${refusedAt(one)}`,
        standard: `not listed, because every such device has it: --under ${one.place ?? "?"}`,
        elsewhere: `not listed, because it is on other devices: ${branches} branches`,
        empty: `not listed, because nothing is in it: ${entries} places (${one.place ?? "?"})`,
        unasked: `where devices seldom have anything only samples were asked for: --under "${one.place ?? "?"}"`,
      };
      return texts[one.left];
    },
  },
  vi: {
    nameColumn: "TÊN",
    typeColumn: "KIỂU",
    accessColumn: "QUYỀN",
    rangeColumn: "KHOẢNG",
    command: "lệnh",
    record: "bản ghi",
    ownSession: "liệt kê bằng một phiên riêng",
    underCure:
      "nêu nơi cần hỏi bằng --under, ghi như trong địa chỉ của driver: i=85, đường dẫn từ gốc của thiết bị, holding 0-199, 1.3.6.1.4.1, /api/status",
    settingsNeeded: "các địa chỉ này cần có trong cài đặt của thiết bị",
    cannot: (driver) => `driver ${driver} không có cách hỏi thiết bị có những gì`,
    cannotCure: "xem tài liệu của thiết bị, hoặc kerb profiles để biết các model đã có hồ sơ",
    entries: (count, commands, guesses) =>
      `${count} mục${commands === 0 ? "" : `, trong đó ${commands} lệnh`}${guesses === 0 ? "" : `, ${guesses} là phỏng đoán`}`,
    left: (one, { limit, depth, waitMs }) => {
      const { entries = 0, branches = 0 } = one;
      const seen = `đã thấy thêm ${entries} mục, ${branches} nhánh chưa xem`;
      const texts: Record<LeftOut["left"], string> = {
        limit: `bỏ bớt vì giới hạn ${limit} mục: ${seen} (--limit, --under)`,
        depth: `bỏ bớt dưới ${depth} cấp: ${branches} nhánh (--depth, --under)`,
        time: `bỏ bớt sau ${waitMs / 1000} giây: ${seen} (--wait, --under)`,
        bound: `bỏ bớt vì nhiều hơn driver nhớ được: ${seen} (--under)`,
        refused:
          one.place === undefined
            ? `thiết bị còn từ chối: ${branches} nhánh`
            : `thiết bị từ chối: ${refusedAt(one)}`,
        standard: `không liệt kê, vì thiết bị loại này nào cũng có: --under ${one.place ?? "?"}`,
        elsewhere: `không liệt kê, vì nằm ở thiết bị khác: ${branches} nhánh`,
        empty: `không liệt kê, vì không chứa gì: ${entries} chỗ (${one.place ?? "?"})`,
        unasked: `những nơi thiết bị hiếm khi có gì chỉ được hỏi thử: --under "${one.place ?? "?"}"`,
      };
      return texts[one.left];
    },
  },
});
