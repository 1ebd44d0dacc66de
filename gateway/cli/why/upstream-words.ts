import { words } from "../../words.ts";

/** What `kerb upstream test` says. */
export const upstreamWords = words({
  en: {
    steps: { name: "name", port: "port", tls: "tls", login: "login", receiver: "receiver", event: "event" },
    address: "an address, no name to look up",
    open: (port: number) => `${port} is open`,
    plain: "none: everything goes in the clear",
    tls: (protocol: string, days: number) => `${protocol}, the broker's certificate is good for ${days} d`,
    ownCertificate: (days: number) => `, ours for ${days} d`,
    connected: (since: string, session: number) =>
      `the gateway has been connected for ${since} (session ${session})`,
    loggedIn: "accepted, and allowed to listen (tried under an id of its own)",
    onlyGateway: (why: string) => `accepted under an id of its own, but the gateway is not connected: ${why}`,
    unknownUplink:
      "the running gateway does not know this uplink: the site file was changed (kerb config apply)",
    bound: (why: string) =>
      `the gateway is connected, but a login with what the site file says now is refused: ${why}`,
    receiver: {
      online: "online",
      offline: "offline: it says so itself",
      unknown: "not heard of: nobody has told of a receiver on this broker, or we may not listen",
    },
    confirmedAgo: (age: string) => `, last confirmation ${age} ago`,
    stored: (ms: number) => `on this box's disk after ${ms} ms`,
    confirmed: (stored: number, span: string) =>
      `stored here after ${stored} ms, confirmed by the IOC after ${span}`,
    unconfirmed: (span: string) => `a test event was not confirmed within ${span}`,
    waiting: (span: string) =>
      `a test event is on its way; the IOC confirms about once a minute (waiting up to ${span}) …`,
    otherUrl: (url: string) => ` - to ${url}, not to what the site file says: kerb config diff`,
    noGateway: "not tried: no gateway runs that could send one",
    notTried: "not tried",
    noUplinks: "this site has no uplinks: events stay on the box",
    noUplinksCure: "add one under uplinks in the site file: config/gateway.sample.yaml shows how",
    noUplink: (id: string) => `there is no uplink "${id}"`,
    noUplinkCure: (ids: string) => `those of this site: ${ids}`,
    subscribeHint:
      "a broker that knows this gateway by its client id may refuse the test and take the gateway",
  },
  vi: {
    steps: {
      name: "tên",
      port: "cổng",
      tls: "tls",
      login: "đăng nhập",
      receiver: "bộ nhận",
      event: "sự kiện",
    },
    address: "là địa chỉ, không phải tra tên",
    open: (port) => `cổng ${port} đang mở`,
    plain: "không có: mọi thứ được gửi không mã hóa",
    tls: (protocol, days) => `${protocol}, chứng thư của broker còn ${days} ngày`,
    ownCertificate: (days) => `, của gateway còn ${days} ngày`,
    connected: (since, session) => `gateway đã kết nối được ${since} (phiên ${session})`,
    loggedIn: "được chấp nhận, và được phép nghe (thử bằng mã riêng)",
    onlyGateway: (why) => `được chấp nhận bằng mã riêng, nhưng gateway chưa kết nối: ${why}`,
    unknownUplink: "gateway đang chạy không biết kết nối này: tệp cấu hình đã đổi (kerb config apply)",
    bound: (why) =>
      `gateway đang kết nối, nhưng đăng nhập bằng thông tin hiện có trong tệp cấu hình bị từ chối: ${why}`,
    receiver: {
      online: "trực tuyến",
      offline: "ngoại tuyến: chính nó báo như vậy",
      unknown: "chưa nghe thấy: chưa ai báo có bộ nhận trên broker này, hoặc gateway không được phép nghe",
    },
    confirmedAgo: (age) => `, xác nhận lần cuối cách đây ${age}`,
    stored: (ms) => `đã ghi trên hộp này sau ${ms} ms`,
    confirmed: (stored, span) => `ghi tại đây sau ${stored} ms, IOC xác nhận sau ${span}`,
    unconfirmed: (span) => `sự kiện thử không được xác nhận trong ${span}`,
    waiting: (span) =>
      `sự kiện thử đang trên đường; IOC xác nhận khoảng mỗi phút một lần (chờ tối đa ${span}) …`,
    otherUrl: (url) => ` - tới ${url}, khác với tệp cấu hình: kerb config diff`,
    noGateway: "chưa thử: không có gateway đang chạy để gửi",
    notTried: "chưa thử",
    noUplinks: "trạm này không có kết nối tới IOC: sự kiện ở lại hộp",
    noUplinksCure: "thêm vào mục uplinks của tệp cấu hình: xem config/gateway.sample.yaml",
    noUplink: (id) => `không có kết nối IOC "${id}"`,
    noUplinkCure: (ids) => `các kết nối IOC của trạm này: ${ids}`,
    subscribeHint: "broker chỉ nhận theo client id của gateway có thể từ chối phép thử mà vẫn nhận gateway",
  },
});

export type StepName = keyof (typeof upstreamWords)["en"]["steps"];
