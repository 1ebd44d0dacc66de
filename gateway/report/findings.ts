import type { Site } from "../config/config.ts";
import { describeError, type ErrorCode, errorTable, printable } from "../errors.ts";
import type { HealthCheck } from "../health/health.ts";
import { deviceCause } from "../health/causes.ts";
import { shownValue } from "../text.ts";
import type { Gathered } from "./gathered.ts";
import type { Both, Problem, ReportDevice, ReportPoint } from "./report.ts";

/** What stands against the hand-over of a site: what is wrong with the gateway, and what the devices show. */

type Where = Pick<Problem, "severity" | "about" | "object">;

function problem(code: ErrorCode, where: Where, seen: Both): Problem {
  const [en, vi] = [describeError(code, "en"), describeError(code, "vi")];
  return {
    ...where,
    code,
    title: { en: en.title, vi: vi.title },
    seen,
    likely: { en: en.likely, vi: vi.likely },
    do: { en: en.do, vi: vi.do },
  };
}

const aboutOf: Record<HealthCheck["check"], Problem["about"]> = {
  config: "gateway",
  loop: "gateway",
  outbox: "gateway",
  disk: "box",
  clock: "box",
  uplink: "uplink",
  host: "driver",
  devices: "device",
  device: "device",
};

/** Bad values, and those outside their limits, are told here with both. */
const toldOtherwise = new Set<ErrorCode>(["KERB-DEV-SOME-BAD"]);

function ofGateway({ problems }: Gathered): Problem[] {
  return problems.flatMap(({ check, object, severity, code = "KERB-DEV-INTERNAL", seen, behind }) => {
    if (toldOtherwise.has(code)) return [];
    const where: Where = {
      severity: severity === "bad" ? "blocking" : "warning",
      about: aboutOf[check],
      object: object ?? null,
    };
    return [{ ...problem(code, where, seen), ...(behind.length === 0 ? {} : { behind }) }];
  });
}

const pointsShown = 5;

function shownPoint({
  name,
  value,
  unit,
  decimals,
  limits,
  outside,
  quality,
  code,
  reason,
}: ReportPoint): Both {
  const number = shownValue(value, unit, decimals ?? undefined);
  const [low, high] = limits ?? [];
  if (outside)
    return {
      en: `${name} ${number} is outside ${low} … ${high}`,
      vi: `${name} ${number} ngoài khoảng ${low} … ${high}`,
    };
  const why = code ?? reason ?? "";
  const words = { en: quality as string, vi: quality === "bad" ? "xấu" : "không chắc" };
  const more = why === "" ? "" : ` (${why})`;
  return { en: `${name} ${words.en}${more}`, vi: `${name} ${words.vi}${more}` };
}

/** Points whose value is bad or uncertain, or outside the limits; what the firmware makes uncertain is said once. */
function ofValues({ id, points, profile }: ReportDevice): Problem[] {
  const isDoubtful = profile?.covers === "outside";
  const wrong = points.filter(
    ({ quality, outside }) => outside || quality === "bad" || (quality === "uncertain" && !isDoubtful),
  );
  if (wrong.length === 0) return [];
  const shown = wrong.slice(0, pointsShown).map(shownPoint);
  const more = wrong.length > pointsShown ? "; …" : "";
  const seen = {
    en: `${wrong.length} of ${points.length} points: ${shown.map(({ en }) => en).join("; ")}${more}`,
    vi: `${wrong.length} trên ${points.length} điểm: ${shown.map(({ vi }) => vi).join("; ")}${more}`,
  };
  return [problem("KERB-REP-VALUES", { severity: "warning", about: "device", object: id }, seen)];
}

function ofIdentity({ id, identity, profile, tests }: ReportDevice): Problem[] {
  const where: Where = { severity: "warning", about: "device", object: id };
  const who = [identity.vendor, identity.model].filter((part) => part !== null).join(" ");
  const found: Problem[] = [];
  if (tests.identity === "differs" && profile !== null) {
    const seen = {
      en: `it says ${who}; the profile ${profile.id} is for ${profile.vendor} ${profile.model}`,
      vi: `thiết bị tự khai là ${who}; hồ sơ ${profile.id} dùng cho ${profile.vendor} ${profile.model}`,
    };
    found.push(problem("KERB-REP-IDENTITY", where, seen));
  }
  return found;
}

/** What the gateway does not say of a device by itself. */
function ofDevice(device: ReportDevice, { status, devices, missing }: Gathered): Problem[] {
  const { id, name, state, events } = device;
  const where: Where = { severity: "warning", about: "device", object: id };
  if (state === "disabled" || state === "unknown") {
    const seen = {
      en: state === "disabled" ? `${name} is disabled` : `the running gateway does not know ${name}`,
      vi: state === "disabled" ? `${name} đang tắt` : `gateway đang chạy chưa biết ${name}`,
    };
    return [problem("KERB-REP-NOT-COMMISSIONED", where, seen)];
  }
  const { failure, causes = [] } = devices.get(id) ?? {};
  const found = causes.flatMap(({ code, severity, seen }) =>
    toldOtherwise.has(code)
      ? []
      : [problem(code, { ...where, severity: severity === "bad" ? "blocking" : "warning" }, seen)],
  );
  const isThere = state === "online" || state === "listening";
  if (failure !== undefined && (status === undefined || isThere)) {
    const { code, seen } = failure;
    const known =
      code !== undefined && Object.hasOwn(errorTable, code) ? (code as ErrorCode) : deviceCause(code);
    const told = { en: `${name}: ${seen.en}`, vi: `${name}: ${seen.vi}` };
    return [problem(known ?? "KERB-REP-READ", { ...where, severity: "blocking" }, told), ...found];
  }
  if (!isThere) return found;
  found.push(...ofIdentity(device), ...ofValues(device));
  if (state === "listening") {
    const seen = { en: `nothing was heard of ${name}`, vi: `chưa nghe gì từ ${name}` };
    found.push(problem("KERB-REP-UNHEARD", where, seen));
  } else if (events !== null && events.delivered === 0 && !missing.includes("books")) {
    const seen = {
      en: `accepted ${events.accepted}, delivered 0`,
      vi: `đã nhận ${events.accepted}, đã giao 0`,
    };
    found.push(problem("KERB-REP-UNDELIVERED", where, seen));
  }
  return found;
}

function ofBox({ status, books, audit }: Gathered, site: Site): Problem[] {
  const found: Problem[] = [];
  const bad = (code: ErrorCode, about: Problem["about"], seen: Both) =>
    found.push(problem(code, { severity: "blocking", about, object: null }, seen));
  const { id } = site.gateway;
  if (status === undefined)
    bad("KERB-REP-NO-GATEWAY", "gateway", {
      en: `${id}: the devices were read directly; nothing is known of links, events and loss`,
      vi: `${id}: thiết bị được đọc trực tiếp; không biết gì về kết nối, sự kiện và tỷ lệ đọc hỏng`,
    });
  if (books?.closes === false) {
    const wrong = books.lines
      .filter(({ kept, rows }) => kept !== rows)
      .map(({ device }) => printable(device));
    const list = [...new Set(wrong)].slice(0, pointsShown).join(", ");
    bad("KERB-REP-BOOKS", "gateway", { en: list, vi: list });
  }
  if (audit === "broken")
    bad("KERB-REP-AUDIT", "box", { en: "a hash is wrong", vi: "một mã băm không đúng" });
  return found;
}

const isBlocking = ({ severity }: Problem): boolean => severity === "blocking";

/** Everything that is open, the blocking items first. */
export function openProblems(site: Site, gathered: Gathered, devices: readonly ReportDevice[]): Problem[] {
  const all = [
    ...ofBox(gathered, site),
    ...ofGateway(gathered),
    ...devices.flatMap((device) => ofDevice(device, gathered)),
  ];
  return [...all.filter(isBlocking), ...all.filter((one) => !isBlocking(one))];
}
