/**
 * The traffic-light SXL as far as a pretend controller needs it: which codes there are, with which names, since
 * which version. Facts of the published SXLs 1.0.15 to 1.2.1; the wording is ours.
 */

export type ObjectType = "controller" | "group" | "detector";

interface Status {
  on: ObjectType;
  names: readonly string[];
}

const threeLists = ["intersection", "status", "source"];
const vehicleClasses = ["P", "PS", "L", "LS", "B", "SP", "MC", "C", "F"];
const clockNames = ["year", "month", "day", "hour", "minute", "second"];
const controller = (...names: string[]): Status => ({ on: "controller", names });
const detector = (...names: string[]): Status => ({ on: "detector", names });

const predictions = ["minTo", "maxTo", "likelyTo"];

/** Names that begin with "1.1:" exist since that version of the SXL. */
export const statuses: Readonly<Record<string, Status>> = {
  S0001: controller("signalgroupstatus", "cyclecounter", "basecyclecounter", "stage"),
  S0002: controller("detectorlogicstatus"),
  S0003: controller("inputstatus"),
  S0004: controller("outputstatus"),
  S0005: controller("status", "statusByIntersection"),
  S0006: controller("status", "emergencystage"),
  S0007: controller(...threeLists),
  S0008: controller(...threeLists),
  S0009: controller(...threeLists),
  S0010: controller(...threeLists),
  S0011: controller(...threeLists),
  S0012: controller(...threeLists),
  S0013: controller("intersection", "status"),
  S0014: controller("status", "source"),
  S0015: controller("status", "source"),
  S0016: controller("number"),
  S0017: controller("number"),
  S0018: controller("number"),
  S0019: controller("number"),
  S0020: controller("intersection", "controlmode"),
  S0021: controller("detectorlogics"),
  S0022: controller("status"),
  S0023: controller("status"),
  S0024: controller("status"),
  S0025: {
    on: "group",
    names: ["GEstimate", "REstimate"]
      .flatMap((end) => predictions.map((start) => `${start}${end}`))
      .concat("ToGConfidence", "ToRConfidence"),
  },
  S0026: controller("status"),
  S0027: controller("status"),
  S0028: controller("status"),
  S0029: controller("status"),
  S0030: controller("status"),
  S0031: controller("status"),
  S0032: controller(...threeLists),
  S0033: controller("status"),
  S0034: controller("status"),
  S0035: controller("emergencyroutes"),
  S0091: controller("user"),
  S0092: controller("user"),
  S0095: controller("status"),
  S0096: controller(...clockNames),
  S0097: controller("checksum", "timestamp"),
  S0098: controller("config", "timestamp", "version"),
  S0201: detector("starttime", "vehicles"),
  S0202: detector("starttime", "speed"),
  S0203: detector("starttime", "occupancy"),
  S0204: detector("starttime", ...vehicleClasses),
  S0205: controller("start", "vehicles"),
  S0206: controller("start", "speed"),
  S0207: controller("start", "occupancy"),
  S0208: controller("start", ...vehicleClasses),
};

/** First and last minor version (1.x) of what not all versions have. */
const spans: Readonly<Record<string, readonly [number, number]>> = {
  S0018: [0, 1],
  S0032: [1, 99],
  S0033: [1, 99],
  S0034: [1, 99],
  S0035: [2, 99],
  "S0005 statusByIntersection": [2, 99],
  A0303: [1, 99],
  A0304: [1, 99],
  M0022: [1, 99],
  M0023: [1, 99],
};
const sourceStatuses = ["S0007", "S0008", "S0009", "S0010", "S0011", "S0012", "S0014", "S0015"];

/** True when a version of the SXL has a code, or a name of a status. */
export function has(sxl: string, code: string, name = ""): boolean {
  const [major = 1, minor = 0] = sxl.split(".").map(Number);
  const of = major > 1 ? 99 : minor;
  if (name === "source" && sourceStatuses.includes(code)) return of >= 1;
  const [first, last] = spans[name === "" ? code : `${code} ${name}`] ?? [0, 99];
  return of >= first && of <= last;
}

export interface AlarmType {
  on: ObjectType;
  priority: "1" | "2" | "3";
  names: readonly string[];
}

const detectorFault = ["detector", "type", "errormode", "manual"];
const alarm = (on: ObjectType, priority: AlarmType["priority"], ...names: string[]): AlarmType => ({
  on,
  priority,
  names,
});

export const alarms: Readonly<Record<string, AlarmType>> = {
  A0001: alarm("controller", "2"),
  A0002: alarm("controller", "3"),
  A0003: alarm("controller", "2"),
  A0004: alarm("controller", "3"),
  A0005: alarm("controller", "3"),
  A0006: alarm("controller", "2"),
  A0007: alarm("controller", "3", "protocol"),
  A0008: alarm("group", "2", "timeplan"),
  A0009: alarm("controller", "3"),
  A0010: alarm("controller", "3"),
  A0101: alarm("group", "3"),
  A0201: alarm("group", "2", "color"),
  A0202: alarm("group", "3", "color"),
  A0301: alarm("detector", "3", ...detectorFault),
  A0302: alarm("detector", "3", ...detectorFault, "logicerror"),
  A0303: alarm("detector", "2", ...detectorFault),
  A0304: alarm("detector", "2", ...detectorFault, "logicerror"),
};

/** A plausible value of each argument of an alarm. */
export const alarmArguments: Readonly<Record<string, string>> = {
  protocol: "ntp",
  timeplan: "1",
  color: "red",
  detector: "1",
  type: "loop",
  errormode: "on",
  manual: "False",
  logicerror: "always_off",
};

interface Command {
  on: ObjectType;
  do: string;
  names: readonly string[];
  /** Level of the security code that it wants; 0 = none. */
  level: 0 | 1 | 2;
}
const command = (what: string, level: 0 | 1 | 2, ...names: string[]): Command => ({
  on: "controller",
  do: what,
  level,
  names: level === 0 ? names : [...names, "securityCode"],
});

export const commands: Readonly<Record<string, Command>> = {
  M0001: command("setValue", 2, "status", "timeout", "intersection"),
  M0002: command("setPlan", 2, "status", "timeplan"),
  M0003: command("setTrafficSituation", 2, "status", "traficsituation"),
  M0004: command("setRestart", 2, "status"),
  M0005: command("setEmergency", 2, "status", "emergencyroute"),
  M0006: command("setInput", 2, "status", "input"),
  M0007: command("setFixedTime", 2, "status"),
  M0008: { ...command("setForceDetectorLogic", 2, "status", "mode"), on: "detector" },
  M0010: { ...command("setStart", 2, "status"), on: "group" },
  M0011: { ...command("setStop", 2, "status"), on: "group" },
  M0012: command("setStart", 2, "status"),
  M0013: command("setInput", 2, "status"),
  M0014: command("setCommands", 2, "plan", "status"),
  M0015: command("setOffset", 2, "status", "plan"),
  M0016: command("setWeekTable", 2, "status"),
  M0017: command("setTimeTable", 2, "status"),
  M0018: command("setCycleTime", 2, "status", "plan"),
  M0019: command("setInput", 2, "status", "input", "inputValue"),
  M0020: command("setOutput", 2, "status", "output", "outputValue"),
  M0021: command("setLevel", 2, "status"),
  M0022: command("requestPriority", 0, "requestId", "type"),
  M0023: command("setTimeout", 2, "status"),
  M0103: command("setSecurityCode", 0, "status", "oldSecurityCode", "newSecurityCode"),
  M0104: command("setDate", 1, ...clockNames),
};

const booleans = ["True", "False"];
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  "M0001 timeout": [0, 1440],
  "M0001 intersection": [0, 255],
  "M0002 timeplan": [1, 255],
  "M0003 traficsituation": [1, 255],
  "M0005 emergencyroute": [1, 255],
};
const words: Readonly<Record<string, readonly string[]>> = {
  "M0001 status": ["NormalControl", "YellowFlash", "Dark"],
  "M0002 status": booleans,
  "M0003 status": booleans,
  "M0004 status": booleans,
  "M0005 status": booleans,
  "M0007 status": booleans,
  "M0103 status": ["Level1", "Level2"],
};

/** Why a command's argument has a value that the SXL does not know. */
export function argumentProblem(code: string, name: string, value: string): string | undefined {
  const range = ranges[`${code} ${name}`];
  const isInRange =
    range === undefined || (/^\d+$/.test(value) && Number(value) >= range[0] && Number(value) <= range[1]);
  const isWord = words[`${code} ${name}`]?.includes(value) ?? true;
  return isInRange && isWord ? undefined : `${code} ${name} cannot be "${value.slice(0, 40)}"`;
}

/** Arguments that may be left out. */
export const optionalArguments: Readonly<Record<string, readonly string[]>> = {
  M0022: [
    "signalGroupId",
    "inputId",
    "connectionId",
    "approachId",
    "laneInId",
    "laneOutId",
    "priorityId",
    "level",
    "eta",
    "vehicleType",
  ],
};
