import { words } from "../../words.ts";

/** What is said of a command line that was written wrongly. */
export const usageWords = words({
  en: {
    needsVerb: (verb: string) => `"kerb ${verb}" is followed by a verb of its own`,
    listsThem: (help: string) => `${help} lists them`,
    noVerb: (given: string) => `there is no verb "${given}"`,
    listsVerbs: (help: string) => `${help} lists the verbs`,
    meant: (what: string) => `did you mean: ${what}?`,
    shows: (help: string) => `${help} shows how it is written`,
    missingArgument: (name: string) => `missing required argument '${name}'`,
    missingValue: (option: string) => `option '${option}' argument missing`,
    missingOption: (option: string) => `required option '${option}' not specified`,
    unknownOption: (option: string) => `unknown option '${option}'`,
    tooMany: (expected: string, got: string, what: string) =>
      `too many arguments: expected ${expected}, got ${got}: ${what}`,
    wrongValue: (option: string, value: string, why: string) =>
      `option '${option}' argument '${value}' is invalid. ${why}`,
    wrongArgument: (value: string, name: string, why: string) =>
      `'${value}' is invalid for argument '${name}'. ${why}`,
    conflict: (one: string, other: string) => `option '${one}' cannot be used with option '${other}'`,
    choices: (list: string) => `Allowed choices are ${list}.`,
    wholeNumber: (least: string, most: string) => `Expected a whole number from ${least} to ${most}.`,
    timeSpan: 'Expected a time span with its unit, such as "60s".',
  },
  vi: {
    needsVerb: (verb) => `lệnh "kerb ${verb}" cần thêm một lệnh con`,
    listsThem: (help) => `${help} liệt kê các lệnh con`,
    noVerb: (given) => `không có lệnh "${given}"`,
    listsVerbs: (help) => `${help} liệt kê các lệnh`,
    meant: (what) => `có phải ý bạn là: ${what}?`,
    shows: (help) => `${help} cho biết cách viết`,
    missingArgument: (name) => `thiếu tham số '${name}'`,
    missingValue: (option) => `tùy chọn '${option}' thiếu giá trị`,
    missingOption: (option) => `phải có tùy chọn '${option}'`,
    unknownOption: (option) => `không có tùy chọn '${option}'`,
    tooMany: (expected, got, what) => `thừa tham số: cần ${expected}, nhận được ${got}: ${what}`,
    wrongValue: (option, value, why) => `giá trị '${value}' của tùy chọn '${option}' không hợp lệ. ${why}`,
    wrongArgument: (value, name, why) => `giá trị '${value}' không hợp lệ cho tham số '${name}'. ${why}`,
    conflict: (one, other) => `tùy chọn '${one}' không dùng cùng tùy chọn '${other}' được`,
    choices: (list) => `Chỉ nhận: ${list}.`,
    wholeNumber: (least, most) => `Cần một số nguyên từ ${least} đến ${most}.`,
    timeSpan: 'Cần một khoảng thời gian có đơn vị, chẳng hạn "60s".',
  },
});
