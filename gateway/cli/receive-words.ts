import { words } from "../words.ts";

/** Why `kerb receive` cannot begin; what it tells while it runs is a log, in English. */
export const receiveWords = words({
  en: {
    noBroker: (given: string) => `"${given}" is not a broker; write it as mqtts://host:8883.`,
    noCity: (given: string) => `"${given}" is not a city: 2 to 16 of a-z, 0-9 and "-".`,
    noName: (given: string) => `"${given}" is not a name: letters, digits, ".", "_", "-".`,
    shortInterval: (ms: number) => `An acknowledgement interval of ${ms} ms is too short.`,
    cannotSign: (file: string, why: string) =>
      `${file} cannot sign certificates (${why}): make a key with "openssl genpkey -algorithm ed25519 -out ${file}".`,
  },
  vi: {
    noBroker: (given) => `"${given}" không phải broker; viết như mqtts://host:8883.`,
    noCity: (given) => `"${given}" không phải mã thành phố: 2 đến 16 ký tự a-z, 0-9 và "-".`,
    noName: (given) => `"${given}" không phải tên: chữ cái, chữ số, ".", "_", "-".`,
    shortInterval: (ms) => `Chu kỳ xác nhận ${ms} ms là quá ngắn.`,
    cannotSign: (file, why) =>
      `${file} không ký giấy chứng nhận được (${why}): tạo khóa bằng "openssl genpkey -algorithm ed25519 -out ${file}".`,
  },
});
