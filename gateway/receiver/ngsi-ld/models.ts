/**
 * What each class of device is in NGSI-LD: one row per entity, one line per attribute. Smart Data Models where one
 * exists (smart-data-models.github.io), else kerb's own (`kerb-models.schema.json`). A point that no line of its class
 * takes becomes a DeviceMeasurement, so a name that is not here is never lost, and never guessed.
 */

/** One attribute of a model and the points that feed it, the first that has a value. */
export interface Source {
  to: string;
  /** Names of points; "*" is the part of a model with `parts` ("dimLevel.*" for dimLevel.group1). */
  from: readonly string[];
  /** The unit that the model wants (UCUM). */
  unit?: string;
  least?: number;
  most?: number;
  whole?: true;
  /** An angle that whole turns bring between `least` and `most`. */
  turns?: true;
  /** Without a unit: what the value is. */
  as?: "text" | "boolean";
  values?: readonly string[];
}

/** Points of one family gathered in one attribute: an object by the last part of their names. */
export interface Gathered {
  to: string;
  prefixes: readonly string[];
  /** names: only the names of those that are true. */
  as: "values" | "names";
}

export type Derivation =
  | "streetlight"
  | "flood"
  | "flow"
  | "noise"
  | "cabinet"
  | "group"
  | "bin"
  | "weighing";

export interface Model {
  type: string;
  /** Repository of the Smart Data Model, for its @context; undefined: kerb's own model. */
  subject?: string;
  /** The attribute that holds the time of observation. */
  time: string;
  /** Whether the model names its device, and as one or a list. */
  refDevice?: "one" | "list";
  needsPlace?: true;
  /** Attributes without which the model does not hold. */
  needs?: readonly string[];
  /** One entity per part: the prefixes of the points that tell the parts. */
  parts?: readonly string[];
  /** The values are those of the newest record of one of these names. */
  records?: readonly string[];
  /** Fixed attributes. */
  fixed?: Readonly<Record<string, string>>;
  sources: readonly Source[];
  gathered?: readonly Gathered[];
  derive?: Derivation;
}

const positive = (to: string, unit: string, ...from: string[]): Source => ({
  to,
  from: from.length > 0 ? from : [to],
  unit,
  least: 0,
});
const number = (to: string, unit: string, ...from: string[]): Source => ({
  to,
  from: from.length > 0 ? from : [to],
  unit,
});
const fraction = (to: string, ...from: string[]): Source => ({ to, from, unit: "1", least: 0, most: 1 });
const word = (to: string, ...from: string[]): Source => ({
  to,
  from: from.length > 0 ? from : [to],
  as: "text",
});
const flag = (to: string, ...from: string[]): Source => ({
  to,
  from: from.length > 0 ? from : [to],
  as: "boolean",
});

const humidity = fraction("relativeHumidity", "relativeHumidity", "humidity", "airHumidity");
const airTemperature = number("temperature", "Cel", "temperature", "airTemperature", "ambientTemperature");
const wind = positive("windSpeed", "m/s", "windSpeed");

const airQuality: Model = {
  type: "AirQualityObserved",
  subject: "Environment",
  time: "dateObserved",
  refDevice: "one",
  needsPlace: true,
  sources: [
    ...["pm1", "pm4", "pm10", "no", "nox", "co2"].map((name) => positive(name, "ug/m3")),
    positive("pm25", "ug/m3", "pm25", "pm2p5"),
    positive("o3", "ug/m3", "ozone.mass", "o3", "ozone"),
    positive("no2", "ug/m3", "nitrogenDioxide.mass", "no2", "nitrogenDioxide"),
    positive("so2", "ug/m3", "sulfurDioxide.mass", "so2", "sulfurDioxide"),
    positive("co", "ug/m3", "carbonMonoxide.mass", "co", "carbonMonoxide"),
    positive("c6h6", "ug/m3", "c6h6", "benzene"),
    { to: "tsp", from: ["tsp"], unit: "ug/m3", least: 0, whole: true },
    { to: "airQualityIndex", from: ["airQualityIndex", "aqi"], unit: "1", least: 0, whole: true },
    humidity,
    airTemperature,
    positive("pressure", "hPa", "pressure", "atmosphericPressure"),
    wind,
    { to: "windDirection", from: ["windDirection"], unit: "deg", least: -180, most: 180, turns: true },
    positive("precipitation", "mm", "precipitation"),
  ],
};

const weather: Model = {
  type: "WeatherObserved",
  subject: "Weather",
  time: "dateObserved",
  refDevice: "one",
  needsPlace: true,
  sources: [
    airTemperature,
    humidity,
    wind,
    { to: "windDirection", from: ["windDirection"], unit: "deg", least: 0, most: 360 },
    positive("gustSpeed", "m/s", "windSpeed.gust", "gustSpeed", "windGust"),
    positive("atmosphericPressure", "hPa", "atmosphericPressure", "pressure", "airPressure"),
    positive("precipitation", "mm", "precipitation", "rainfall"),
    positive("solarRadiation", "W/m2", "solarRadiation", "globalRadiation"),
    positive("illuminance", "lx"),
    number("dewPoint", "Cel"),
    positive("snowHeight", "cm", "snowHeight", "snowDepth"),
  ],
};

const flood: Model = {
  type: "FloodMonitoring",
  subject: "Environment",
  time: "observationDateTime",
  sources: [
    number("currentLevel", "m", "waterLevel", "level"),
    number("measuredDistance", "m", "distance"),
    number("referenceLevel", "m", "installationHeight", "referenceLevel"),
  ],
  derive: "flood",
};

const waterQuality: Model = {
  type: "WaterQualityObserved",
  subject: "WaterQuality",
  time: "dateObserved",
  needsPlace: true,
  sources: [
    { to: "pH", from: ["pH", "ph"], unit: "[pH]", least: 0, most: 14 },
    positive("turbidity", "{NTU}"),
    positive("O2", "mg/L", "O2", "dissolvedOxygen", "oxygen"),
    number("temperature", "Cel", "temperature", "waterTemperature"),
    positive("conductivity", "uS/cm"),
    positive("tss", "mg/L", "suspendedSolids", "tss"),
    positive("cod", "mg/L", "chemicalOxygenDemand", "cod"),
    positive("bod", "mg/L", "biochemicalOxygenDemand", "bod"),
    positive("tds", "mg/L"),
    positive("NH4", "mg/L", "NH4", "nh4", "ammonium"),
    positive("NO3", "mg/L", "NO3", "no3", "nitrate"),
    positive("PO4", "mg/L", "PO4", "po4", "phosphate"),
    number("flow", "m3/h", "flow", "waterFlow"),
  ],
};

const lamp: Model = {
  type: "Streetlight",
  subject: "Streetlighting",
  time: "observationDateTime",
  refDevice: "list",
  needsPlace: true,
  needs: ["status"],
  sources: [
    fraction("illuminanceLevel", "dimLevel"),
    number("powerConsumption", "W", "activePower", "activePower.total"),
    number("voltage", "V", "voltage", "voltage.L1"),
    number("current", "A", "current", "current.L1"),
    number("powerFactor", "1", "powerFactor", "powerFactor.total"),
  ],
  derive: "streetlight",
};

const phases = [
  ["L1", "R"],
  ["L2", "S"],
  ["L3", "T"],
] as const;

const cabinet: Model = {
  type: "StreetlightControlCabinet",
  subject: "Streetlighting",
  time: "dateModified",
  refDevice: "list",
  needsPlace: true,
  needs: ["workingMode", "refStreetlightGroup"],
  sources: [
    {
      to: "workingMode",
      from: ["workingMode"],
      as: "text",
      values: ["automatic", "manual", "semiautomatic"],
    },
    positive("totalActivePower", "kW", "activePower.total"),
    positive("totalReactivePower", "kV.A{reactive}", "reactivePower.total"),
    positive("energyConsumed", "kW.h", "activeEnergy.import"),
    positive("frequency", "Hz"),
    ...phases.flatMap(([line, phase]) => [
      positive(`voltage${phase}`, "V", `voltage.${line}`),
      positive(`intensity${phase}`, "A", `current.${line}`),
      positive(`activePower${phase}`, "kW", `activePower.${line}`),
      positive(`reactivePower${phase}`, "kV.A{reactive}", `reactivePower.${line}`),
      { to: `powerFactor${phase}`, from: [`powerFactor.${line}`], unit: "1", least: -1, most: 1 },
    ]),
  ],
  derive: "cabinet",
};

/** The prefixes of points that tell of one group of lamps of a cabinet. */
export const groupPrefixes = ["dimLevel", "lightOn"] as const;

const lampGroup: Model = {
  type: "StreetlightGroup",
  subject: "Streetlighting",
  time: "dateModified",
  needsPlace: true,
  parts: groupPrefixes,
  sources: [fraction("illuminanceLevel", "dimLevel.*")],
  derive: "group",
};

const flow = (part: "" | ".*"): Model => ({
  type: "TrafficFlowObserved",
  subject: "Transportation",
  time: "dateObserved",
  ...(part === ""
    ? {}
    : { parts: ["intensity", "vehicleCount", "occupancy", "averageSpeed", "averageVehicleSpeed"] }),
  sources: [
    fraction("occupancy", `occupancy${part}`),
    positive("averageVehicleSpeed", "km/h", `averageVehicleSpeed${part}`, `averageSpeed${part}`),
    positive("averageVehicleLength", "m", `averageVehicleLength${part}`),
  ],
  derive: "flow",
});

const signal: Model = {
  type: "TrafficSignalController",
  time: "dateObserved",
  refDevice: "one",
  sources: [
    number("plan", "1", "plan"),
    word("planSource", "plan.source"),
    number("stage", "1", "stage"),
    word("mode"),
    word("coordination", "coordination"),
    number("trafficSituation", "1", "trafficSituation"),
    positive("cycleSecond", "s", "cycle.second"),
    positive("cycleLength", "s", "cycle.length"),
    ...[
      "fault",
      "localMode",
      "switchedOn",
      "manualControl",
      "fixedTimeControl",
      "isolatedControl",
      "flashing",
      "allRed",
    ].map((name) => flag(name)),
  ],
  gathered: [
    { to: "signalGroups", prefixes: ["signalState"], as: "values" },
    { to: "pedestrianGroups", prefixes: ["pedestrianState"], as: "values" },
    { to: "detectors", prefixes: ["presence"], as: "values" },
    { to: "faults", prefixes: ["fault"], as: "names" },
  ],
};

const sign: Model = {
  type: "MessageSign",
  time: "dateObserved",
  refDevice: "one",
  sources: [
    word("message"),
    number("messagePriority", "1", "message.priority"),
    word("messageSource", "message.sourceMode"),
    positive("timeRemaining", "s", "message.timeRemaining"),
    word("controlMode"),
    number("brightnessLevel", "1", "brightness.level"),
    fraction("brightness", "brightness"),
  ],
  gathered: [{ to: "errors", prefixes: ["error"], as: "names" }],
};

const weighing: Model = {
  type: "VehicleWeighing",
  time: "dateObserved",
  refDevice: "one",
  needs: ["grossWeight"],
  records: ["weighing", "ticket"],
  sources: [
    positive("grossWeight", "kg", "grossWeight", "gross"),
    positive("grossWeightAfterTolerance", "kg", "grossWeightAfterTolerance"),
    positive("grossWeightAllowed", "kg", "grossWeightAllowed"),
    positive("overload", "1", "overloadPercent"),
    number("netWeight", "kg", "net", "netWeight"),
    positive("tareWeight", "kg", "tare", "tareWeight"),
    positive("speed", "km/h"),
    number("lane", "1"),
    positive("axleCount", "1"),
    word("vehicleClass"),
    word("ticket", "id"),
    number("ticketNumber", "1", "sequence", "ticketNumber"),
    flag("legalUse", "legalUse", "legalForTrade"),
    word("certificate"),
    word("certificateExpiry"),
  ],
  derive: "weighing",
};

const ups: Model = {
  type: "UninterruptiblePowerSupply",
  time: "dateObserved",
  refDevice: "one",
  sources: [
    word("batteryStatus", "battery.status"),
    fraction("batteryLevel", "battery.charge", "batteryCharge"),
    positive("secondsOnBattery", "s", "battery.secondsInUse"),
    positive("timeRemaining", "s", "battery.timeRemaining"),
    number("batteryVoltage", "V", "battery.voltage"),
    number("batteryCurrent", "A", "battery.current"),
    number("batteryTemperature", "Cel", "battery.temperature"),
    word("outputSource", "output.source"),
    positive("load", "1", "output.load"),
    positive("inputFrequency", "Hz", "input.frequency"),
    positive("outputFrequency", "Hz", "output.frequency"),
    ...["L1", "L2", "L3"].flatMap((line) => [
      positive(`inputVoltage${line}`, "V", `input.voltage.${line}`),
      positive(`outputVoltage${line}`, "V", `output.voltage.${line}`),
      number(`outputCurrent${line}`, "A", `output.current.${line}`),
      number(`outputPower${line}`, "W", `output.power.${line}`),
    ]),
    positive("inputFaults", "1", "input.lineBads"),
    positive("alarmsPresent", "1", "alarms.present"),
  ],
};

const router: Model = {
  type: "NetworkRouter",
  time: "dateObserved",
  refDevice: "one",
  sources: [
    number("rssi", "dB{mW}", "rssi", "signal", "signalStrength"),
    number("sinr", "dB", "signal.sinr"),
    number("rsrp", "dB{mW}", "signal.rsrp"),
    number("rsrq", "dB", "signal.rsrq"),
    word("operator"),
    word("connectionState", "connection.state"),
    word("connectionType", "connection.type"),
    number("temperature", "Cel"),
    positive("bytesSent", "By", "traffic.sent"),
    positive("bytesReceived", "By", "traffic.received"),
    positive("uptime", "s"),
  ],
};

const bin: Model = {
  type: "WasteContainer",
  subject: "WasteManagement",
  time: "dateModified",
  refDevice: "list",
  needsPlace: true,
  sources: [
    fraction("fillingLevel", "fillingLevel"),
    number("temperature", "Cel"),
    positive("cargoWeight", "kg", "weight"),
  ],
  derive: "bin",
};

const camera: Model = {
  type: "Camera",
  subject: "Device",
  time: "dateModified",
  sources: [],
};

const meter = (meterType: string, unit: string, ...from: string[]): Model => ({
  type: "SmartMeteringObservation",
  subject: "Device",
  time: "dateModified",
  refDevice: "one",
  needs: ["totalConsumption"],
  fixed: { meterType },
  sources: [number("totalConsumption", unit, ...from)],
});

const noise: Model = {
  type: "NoiseLevelObserved",
  subject: "Environment",
  time: "dateObserved",
  refDevice: "one",
  needsPlace: true,
  needs: ["dateObservedFrom"],
  sources: [
    number("LAeq", "dB{A}", "soundLevel", "LAeq"),
    number("LAS", "dB{A}"),
    number("LAmax", "dB{A}", "soundLevel.max", "LAmax"),
  ],
  derive: "noise",
};

/** What each class of profile is, beside its Device and its alarms. */
export const modelsByClass: Readonly<Record<string, readonly Model[]>> = {
  "air-quality": [airQuality],
  camera: [camera],
  detector: [flow(""), flow(".*")],
  "energy-meter": [meter("Electricity", "kW.h", "activeEnergy.import", "activeEnergy.total")],
  "gas-meter": [meter("Gas", "m3", "volume")],
  "light-cabinet": [cabinet, lampGroup],
  "message-sign": [sign],
  "noise-meter": [noise],
  router: [router],
  "signal-controller": [signal, flow(".*")],
  "street-light": [lamp],
  ups: [ups],
  "waste-bin": [bin],
  "water-level": [flood],
  "water-meter": [meter("Water", "m3", "volume")],
  "water-quality": [waterQuality],
  weather: [weather],
  "weigh-station": [weighing],
};

/** Classes of the model Device: what they control or measure (its list of words) and what kind of device they are. */
export const deviceKinds: Readonly<Record<string, { controls: readonly string[]; category: string }>> = {
  "air-quality": { controls: ["airPollution"], category: "sensor" },
  camera: { controls: ["motion"], category: "multimedia" },
  detector: { controls: ["trafficFlow"], category: "sensor" },
  "energy-meter": { controls: ["electricityConsumption"], category: "meter" },
  "gas-meter": { controls: ["gasConsumption"], category: "meter" },
  "light-cabinet": { controls: ["light"], category: "actuator" },
  "message-sign": { controls: [], category: "actuator" },
  "noise-meter": { controls: ["noiseLevel"], category: "sensor" },
  parking: { controls: ["occupancy"], category: "sensor" },
  router: { controls: [], category: "network" },
  "signal-controller": { controls: ["movementActivity"], category: "actuator" },
  "street-light": { controls: ["light"], category: "actuator" },
  ups: { controls: ["batterySupply"], category: "sensor" },
  "waste-bin": { controls: ["fillingLevel"], category: "sensor" },
  "water-level": { controls: ["waterLevel"], category: "sensor" },
  "water-meter": { controls: ["waterConsumption"], category: "meter" },
  "water-quality": { controls: ["waterPollution"], category: "sensor" },
  weather: { controls: ["weatherConditions"], category: "sensor" },
  "weigh-station": { controls: ["weight"], category: "sensor" },
};

/** Attributes of Device that points feed, whatever the class. */
export const deviceSources: readonly Source[] = [
  fraction("batteryLevel", "batteryLevel", "batteryCharge", "battery.charge"),
  number("rssi", "dB{mW}", "rssi", "signalStrength", "signal"),
];

/** Which alarms have a category in the model Alert; others are kerb's DeviceAlarm. */
export const alertCategories: Readonly<Record<string, { category: string; subCategory?: string }>> = {
  tamper: { category: "security", subCategory: "suspiciousAction" },
  access: { category: "security" },
  traffic: { category: "traffic" },
};

/** Alarms whose name says more than their category. */
export const alertSubCategories: Readonly<Record<string, string>> = { wrongWay: "carWrongDirection" };
