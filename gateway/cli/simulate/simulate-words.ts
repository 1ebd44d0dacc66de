import { words } from "../../words.ts";

/** What `kerb simulate` and `kerb demo` say about what they run, and why they cannot. */
export const simulateWords = words({
  en: {
    at: "at",
    calls: "calls",
    recorded: (time: string) => `as recorded ${time}`,
    inMemory: "(MQTT 5 and 3.1.1, in memory)",
    fault: "fault",
    readIt: (id: string) => `Read ${id}:`,
    it: "it",
    listen: "Listen:",
    ctrlC: "Ctrl-C ends it.",
    theBroker: "the broker",
    pretend: (id: string) => `the pretend ${id}`,
    address: "the address",
    cannotOpen: (path: string, why: string) => `${path} cannot be opened (${why})`,
    cannotOpenCure:
      "name a serial port of this machine (ls /dev/serial/by-id), or one end of a pair: socat -d -d pty,rawer pty,rawer",
    taken: (place: string, what: string) => `${place} is taken by another program (wanted for ${what})`,
    takenCure: (port: string) => `see who it is: ss -ltnp 'sport = :${port}'   or take another port`,
    needsRoot: (place: string, what: string) => `${place} needs root (wanted for ${what})`,
    needsRootCure: "take a port above 1023",
    noSimulator: (driver: string) => `the driver ${driver} has no simulator`,
    noSimulatorCure: "kerb drivers shows which can be simulated",
    notLikeThis: (id: string, why: string) => `${id} cannot be simulated like this: ${why}`,
    nothing: "nothing to simulate was named",
    nothingCure:
      "kerb simulate eastron/sdm630   or: --site FILE, broker; kerb simulate --list shows the profiles",
    both: "a profile and --site exclude each other",
    bothCure: "name one of them",
    deviceNeedsSite: "--device is for a site (--site); a profile is one device",
    leaveOut: (option: string) => `leave --${option} out`,
    noFirmware: (id: string) =>
      `--firmware changes nothing: ${id} tells none, and no point of it depends on one`,
    forProfile: (option: string) => `--${option} is for one profile; with --site the site file says it`,
    noUplink: (site: string) => `${site} has no uplink to a broker on this machine`,
    noUplinkCure: "the demo starts its own: write url: mqtt://127.0.0.1:18830 for the first uplink",
    portTaken: (port: string, what: string) =>
      `port ${port} on 127.0.0.1 is taken by another program, and ${what} needs it`,
    portTakenCure: (port: string, folder: string) =>
      `end that program (ss -ltnp 'sport = :${port}' names it), or change the port in ${folder}`,
    runsAlready: (site: string) => `a gateway is running already for ${site}`,
    runsAlreadyCure:
      "look at it with kerb status, or end it (Ctrl-C in its terminal) and start the demo again",
  },
  vi: {
    at: "tại",
    calls: "gọi đến",
    recorded: (time) => `như đã ghi ${time}`,
    inMemory: "(MQTT 5 và 3.1.1, trong bộ nhớ)",
    fault: "lỗi giả lập",
    readIt: (id) => `Đọc ${id}:`,
    it: "thử",
    listen: "Nghe:",
    ctrlC: "Nhấn Ctrl-C để dừng.",
    theBroker: "broker",
    pretend: (id) => `thiết bị giả lập ${id}`,
    address: "địa chỉ",
    cannotOpen: (path, why) => `không mở được ${path} (${why})`,
    cannotOpenCure:
      "nêu một cổng nối tiếp của máy này (ls /dev/serial/by-id), hoặc một đầu của cặp cổng ảo: socat -d -d pty,rawer pty,rawer",
    taken: (place, what) => `${place} đang bị phần mềm khác chiếm (cần cho ${what})`,
    takenCure: (port) => `xem đó là phần mềm nào: ss -ltnp 'sport = :${port}'   hoặc chọn cổng khác`,
    needsRoot: (place, what) => `${place} cần quyền root (cần cho ${what})`,
    needsRootCure: "chọn cổng lớn hơn 1023",
    noSimulator: (driver) => `driver ${driver} không có thiết bị giả lập`,
    noSimulatorCure: "kerb drivers cho biết driver nào giả lập được",
    notLikeThis: (id, why) => `không giả lập ${id} như vậy được: ${why}`,
    nothing: "chưa nêu cần giả lập gì",
    nothingCure:
      "kerb simulate eastron/sdm630   hoặc: --site FILE, broker; kerb simulate --list liệt kê các hồ sơ",
    both: "hồ sơ và --site loại trừ nhau",
    bothCure: "chỉ nêu một trong hai",
    deviceNeedsSite: "--device dùng với --site; một hồ sơ là một thiết bị",
    leaveOut: (option) => `bỏ --${option}`,
    noFirmware: (id) =>
      `--firmware không thay đổi gì: ${id} không khai phiên bản, và không điểm đo nào phụ thuộc vào nó`,
    forProfile: (option) => `--${option} dùng cho một hồ sơ; với --site thì tệp cấu hình đã ghi điều đó`,
    noUplink: (site) => `${site} không có kết nối tới broker nào trên máy này`,
    noUplinkCure: "demo tự chạy broker: ghi url: mqtt://127.0.0.1:18830 cho kết nối (uplink) đầu tiên",
    portTaken: (port, what) =>
      `cổng ${port} tại 127.0.0.1 đang bị phần mềm khác chiếm, mà ${what} cần cổng này`,
    portTakenCure: (port, folder) =>
      `dừng phần mềm đó (ss -ltnp 'sport = :${port}' cho biết là gì), hoặc đổi cổng trong ${folder}`,
    runsAlready: (site) => `đã có một gateway đang chạy cho ${site}`,
    runsAlreadyCure: "xem bằng kerb status, hoặc dừng nó (Ctrl-C trong cửa sổ của nó) rồi chạy lại demo",
  },
});
