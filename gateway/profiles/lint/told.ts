import type { Profile } from "../profiles.ts";
import type { Lint } from "./findings.ts";
import { canonical } from "./places.ts";

/** Records that a device tells, and alarms that it shows: what of them does not fit together. */

type Told = Profile["records"][number];

function checkRecord(lint: Lint, { name, kind, active, category, severity, fields }: Told): void {
  const path = ["records", name];
  const field = fields.find((one) => one.name === active);
  if (active !== undefined && kind !== "alarm")
    lint.say(
      "told",
      [...path, "active"],
      `only an alarm lasts: a ${kind} has no "active"`,
      `chỉ cảnh báo mới kéo dài: ${kind} không có "active"`,
    );
  if (active !== undefined && field?.kind !== "boolean")
    lint.say(
      "told",
      [...path, "active"],
      `there is no boolean field "${active}" that says whether it lasts`,
      `không có trường boolean "${active}" cho biết nó còn kéo dài`,
    );
  for (const [key, value] of Object.entries({ category, severity }))
    if (kind !== "alarm" && value !== undefined)
      lint.say(
        "told",
        [...path, key],
        `only an alarm has a ${key}, and this is a ${kind}`,
        `chỉ cảnh báo mới có ${key}, còn đây là ${kind}`,
      );
  const seen = new Map<string, string>();
  for (const one of fields) {
    const key = canonical([one.address, one.kind, one.unit, one.scale, one.values]);
    const first = seen.get(key);
    if (first !== undefined && one.fixed === undefined)
      lint.say(
        "told",
        [...path, "fields", one.name, "address"],
        `"${one.name}" is the same value as "${first}": leave one of them out`,
        `"${one.name}" và "${first}" là cùng một giá trị: hãy bỏ một trong hai`,
        { at: "key" },
      );
    seen.set(key, one.name);
  }
}

/** Alarms and records of one name, two alarms of one point, fields that do not fit the record's kind. */
export function checkTold(lint: Lint): void {
  const { records, alarms, templates } = lint.profile;
  const byPoint = new Map<string, string>();
  for (const { name, point } of alarms) {
    const path = ["alarms", name];
    if (records.some((record) => record.name === name))
      lint.say(
        "told",
        path,
        `"${name}" is a record as well: the device tells it, or shows it by a point, not both`,
        `"${name}" cũng là một bản ghi: hoặc thiết bị tự báo, hoặc thể hiện qua một điểm, không cả hai`,
        { at: "key" },
      );
    const first = byPoint.get(point);
    if (first !== undefined)
      lint.say(
        "told",
        [...path, "point"],
        `the point "${point}" is the alarm "${first}" already`,
        `điểm "${point}" đã là cảnh báo "${first}" rồi`,
      );
    byPoint.set(point, name);
    if (templates.find((one) => one.name === point)?.values !== undefined)
      lint.say(
        "told",
        [...path, "point"],
        `the point "${point}" has names under values: an alarm needs true and false`,
        `điểm "${point}" có tên trong values: cảnh báo cần đúng hoặc sai`,
      );
  }
  for (const record of records) checkRecord(lint, record);
}
