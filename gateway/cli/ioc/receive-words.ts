import { counted, grouped } from "../../text.ts";
import { words } from "../../words.ts";

/** Why `kerb receive` cannot begin, and what it tells people while it runs; `--json` keeps English. */
export const receiveWords = words({
  en: {
    noBroker: (given: string) => `"${given}" is not a broker; write it as mqtts://host:8883.`,
    noCity: (given: string) => `"${given}" is not a city: 2 to 16 of a-z, 0-9 and "-".`,
    noName: (given: string) => `"${given}" is not a name: letters, digits, ".", "_", "-".`,
    shortInterval: (ms: number) => `An acknowledgement interval of ${ms} ms is too short.`,
    cannotSign: (file: string, why: string) =>
      `${file} cannot sign certificates (${why}): make a key with "openssl genpkey -algorithm ed25519 -out ${file}".`,
    started: (city: string, database: string, url: string) =>
      `receiving for ${city} into ${database}, HTTP API at ${url}`,
    open: "the HTTP API has no login and listens beyond this machine",
    connected: (broker: string) => `connected to ${broker}`,
    lost: (broker: string, reason: string) => `no connection to ${broker}: ${reason}; trying again`,
    first: (gateway: string) => `${gateway} is heard for the first time`,
    online: (gateway: string, session: number | string, epoch: number | string) =>
      `${gateway} is online (session ${session}, epoch ${epoch})`,
    offline: (gateway: string) => `${gateway} is offline`,
    rejected: (gateway: string, lane: string, reason: string, count: number) =>
      gateway === ""
        ? `a message was rejected: ${reason}`
        : `${gateway}: a message of lane ${lane} was rejected: ${reason} (${count} in all)`,
    storeFailed: (reason: string) => `${reason}; nothing is acknowledged until it takes data again`,
    storeWell: (database: string) => `${database} takes data again`,
    events: (gateway: string, count: number) => `${gateway} ${counted(count, "event", "events")}`,
    moreGateways: (count: number) => `and ${counted(count, "more gateway")}`,
    received: (seconds: number, list: string) => `received within ${seconds} s: ${list}`,
    nothing: (seconds: number) => `nothing came within ${seconds} s`,
    stopped: (
      signal: string,
      gateways: number,
      events: number,
      missing: number,
      duplicates: number,
      rejected: number,
    ) =>
      `stopped by ${signal}: ${counted(gateways, "gateway")}, ${counted(events, "event")} stored, ${grouped(missing)} missing, ${counted(duplicates, "duplicate")} dropped, ${counted(rejected, "message")} rejected`,
    noListen: (listen: string) => `"${listen}" is not an address to listen on`,
    noListenCure: "write it as --listen 127.0.0.1:8788",
    taken: (listen: string) => `${listen} is taken by another program (wanted for the HTTP API)`,
    takenCure: (port: string) =>
      `see who it is: ss -ltnp 'sport = :${port}'   or another port: --listen HOST:PORT`,
    needsRoot: (listen: string) => `${listen} needs root (wanted for the HTTP API)`,
    needsRootCure: "take a port above 1023: --listen HOST:PORT",
    notOurs: (listen: string, why: string) => `the HTTP API cannot listen on ${listen} (${why})`,
    notOursCure: "name an address of this machine (ip address shows them): --listen HOST:PORT",
  },
  vi: {
    noBroker: (given) => `"${given}" không phải broker; viết như mqtts://host:8883.`,
    noCity: (given) => `"${given}" không phải mã thành phố: 2 đến 16 ký tự a-z, 0-9 và "-".`,
    noName: (given) => `"${given}" không phải tên: chữ cái, chữ số, ".", "_", "-".`,
    shortInterval: (ms) => `Chu kỳ xác nhận ${ms} ms là quá ngắn.`,
    cannotSign: (file, why) =>
      `${file} không ký giấy chứng nhận được (${why}): tạo khóa bằng "openssl genpkey -algorithm ed25519 -out ${file}".`,
    started: (city, database, url) => `đang nhận cho ${city}, lưu vào ${database}, HTTP API tại ${url}`,
    open: "HTTP API không có đăng nhập mà lại mở ra ngoài máy này",
    connected: (broker) => `đã kết nối ${broker}`,
    lost: (broker, reason) => `không có kết nối tới ${broker}: ${reason}; đang thử lại`,
    first: (gateway) => `lần đầu nghe thấy ${gateway}`,
    online: (gateway, session, epoch) => `${gateway} trực tuyến (phiên ${session}, kỳ ${epoch})`,
    offline: (gateway) => `${gateway} ngoại tuyến`,
    rejected: (gateway, lane, reason, count) =>
      gateway === ""
        ? `từ chối một bản tin: ${reason}`
        : `${gateway}: từ chối một bản tin của làn ${lane}: ${reason} (tổng cộng ${count})`,
    storeFailed: (reason) => `${reason}; không xác nhận gì cho tới khi ghi được trở lại`,
    storeWell: (database) => `${database} đã ghi được trở lại`,
    events: (gateway, count) => `${gateway} ${grouped(count)} sự kiện`,
    moreGateways: (count) => `và ${grouped(count)} gateway khác`,
    received: (seconds, list) => `đã nhận trong ${seconds} giây: ${list}`,
    nothing: (seconds) => `không nhận được gì trong ${seconds} giây`,
    stopped: (signal, gateways, events, missing, duplicates, rejected) =>
      `dừng do ${signal}: ${grouped(gateways)} gateway, đã lưu ${grouped(events)} sự kiện, thiếu ${grouped(missing)}, bỏ ${grouped(duplicates)} bản trùng, từ chối ${grouped(rejected)} bản tin`,
    noListen: (listen) => `"${listen}" không phải địa chỉ để lắng nghe`,
    noListenCure: "viết như --listen 127.0.0.1:8788",
    taken: (listen) => `${listen} đang bị phần mềm khác chiếm (cần cho HTTP API)`,
    takenCure: (port) =>
      `xem đó là phần mềm nào: ss -ltnp 'sport = :${port}'   hoặc chọn cổng khác: --listen HOST:CỔNG`,
    needsRoot: (listen) => `${listen} cần quyền root (cần cho HTTP API)`,
    needsRootCure: "chọn cổng lớn hơn 1023: --listen HOST:CỔNG",
    notOurs: (listen, why) => `HTTP API không lắng nghe được trên ${listen} (${why})`,
    notOursCure: "nêu một địa chỉ của máy này (xem bằng ip address): --listen HOST:CỔNG",
  },
});
