import type { SimulatorOptions } from "../simulator.ts";
import type { Model } from "./model.ts";
import type { PullPoints, Quirks } from "./pull-points.ts";
import { eventProperties } from "./topics.ts";
import { fault, tag, text, words, type Request } from "./xml.ts";

/** The camera's services: an operation in, the body of its answer out. */

const services = [
  ["http://www.onvif.org/ver10/device/wsdl", "/onvif/device_service"],
  ["http://www.onvif.org/ver10/media/wsdl", "/onvif/media_service"],
  ["http://www.onvif.org/ver10/events/wsdl", "/onvif/event_service"],
  ["http://www.onvif.org/ver10/recording/wsdl", "/onvif/recording_service"],
] as const;

/** Operations that need no login (ONVIF Core, access class PRE_AUTH). */
export const open = new Set(["GetSystemDateAndTime", "GetServices", "GetCapabilities", "GetHostname"]);

const jpeg = "/onvif/snapshot.jpg";
export const streamPath = "/Streaming/Channels/101";
export const picturePath = jpeg;

const number = (name: string, value: number): string => tag(`tt:${name}`, String(value));

function fields(timeMs: number): string {
  const time = new Date(timeMs);
  return (
    tag(
      "tt:Time",
      number("Hour", time.getUTCHours()) +
        number("Minute", time.getUTCMinutes()) +
        number("Second", time.getUTCSeconds()),
    ) +
    tag(
      "tt:Date",
      number("Year", time.getUTCFullYear()) +
        number("Month", time.getUTCMonth() + 1) +
        number("Day", time.getUTCDate()),
    )
  );
}

const configuration = (name: string, inner: string): string =>
  tag(`tt:${name}`, tag("tt:Name", name) + tag("tt:UseCount", "1") + inner, { token: `${name}_1` });
const profile =
  tag("tt:Name", "mainStream") +
  configuration("VideoSourceConfiguration", tag("tt:SourceToken", "VideoSource_1")) +
  configuration("VideoEncoderConfiguration", tag("tt:Encoding", "H264") + tag("tt:Quality", "4"));

export class Services {
  readonly #model: Model;
  readonly #pullPoints: PullPoints;
  readonly #identity: SimulatorOptions["identity"];
  /** Of which machine the camera says that its services are. */
  base: string;
  rtspPort = 554;

  constructor(model: Model, pullPoints: PullPoints, identity: SimulatorOptions["identity"], base: string) {
    this.#model = model;
    this.#pullPoints = pullPoints;
    this.#identity = identity;
    this.base = base;
  }

  /** The answer to one request; a fault is one, too. */
  async answer(request: Request, url: string, quirks: Quirks): Promise<string> {
    const model = this.#model;
    switch (request.operation) {
      case "GetSystemDateAndTime":
        return this.#time();
      case "GetServices":
        return tag(
          "tds:GetServicesResponse",
          services.map(([namespace, path]) => this.#service(namespace, path)).join(""),
        );
      case "GetCapabilities":
        return this.#capabilities();
      case "GetDeviceInformation":
        return this.#information();
      case "GetHostname":
        return tag(
          "tds:GetHostnameResponse",
          tag("tds:HostnameInformation", tag("tt:FromDHCP", "false") + tag("tt:Name", "camera")),
        );
      case "CreatePullPointSubscription":
        return this.#pullPoints.create(request, this.base, model.initial(), model.nowMs, quirks);
      case "GetEventProperties":
        return eventProperties(model.described());
      case "PullMessages":
        return this.#pullPoints.pull(request, url, () => model.nowMs, quirks);
      case "Renew":
        return this.#pullPoints.renew(request, url, model.nowMs, quirks);
      case "Unsubscribe":
        return this.#pullPoints.unsubscribe(request, url);
      default:
        return this.#media(request);
    }
  }

  #media({ operation, body }: Request): string {
    switch (operation) {
      case "GetVideoSources":
        return this.#videoSources();
      case "GetProfiles":
        return tag(
          "trt:GetProfilesResponse",
          tag("trt:Profiles", profile, { token: "Profile_1", fixed: "true" }),
        );
      case "GetStreamUri":
        return this.#uri(
          operation,
          this.base.replace(/^http:\/\/([^/:]+|\[[^\]]+\])(:\d+)?/, `rtsp://$1:${this.rtspPort}`) +
            `${streamPath}?transportmode=unicast`,
        );
      case "GetSnapshotUri":
        return this.#uri(operation, `${this.base}${jpeg}`);
      case "GetRecordingJobs":
        return this.#jobs();
      case "GetRecordingJobState":
        return this.#jobState(words(body, "JobToken"));
      default:
        return fault("ter:ActionNotSupported", `no such action: ${operation}`, "env:Receiver");
    }
  }

  #time(): string {
    const { nowMs } = this.#model;
    const inner =
      tag("tt:DateTimeType", "NTP") +
      tag("tt:DaylightSavings", "false") +
      tag("tt:TimeZone", tag("tt:TZ", "UTC-07:00")) +
      tag("tt:UTCDateTime", fields(nowMs)) +
      tag("tt:LocalDateTime", fields(nowMs + 7 * 3_600_000));
    return tag("tds:GetSystemDateAndTimeResponse", tag("tds:SystemDateAndTime", inner));
  }

  #service(namespace: string, path: string): string {
    const version = tag("tt:Major", "2") + tag("tt:Minor", "60");
    return tag(
      "tds:Service",
      tag("tds:Namespace", namespace) + tag("tds:XAddr", this.base + path) + tag("tds:Version", version),
    );
  }

  #capabilities(): string {
    const xaddr = (path: string): string => tag("tt:XAddr", this.base + path);
    const [device, media, events, recording] = services.map(([, path]) => path) as [
      string,
      string,
      string,
      string,
    ];
    const inner =
      tag("tt:Device", xaddr(device)) +
      tag("tt:Events", xaddr(events) + tag("tt:WSPullPointSupport", "true")) +
      tag("tt:Media", xaddr(media)) +
      tag("tt:Extension", tag("tt:Recording", xaddr(recording)));
    return tag("tds:GetCapabilitiesResponse", tag("tds:Capabilities", inner));
  }

  #information(): string {
    const { vendor = "Simulated", model = "Camera", firmware = "1.0", serial = "0" } = this.#identity;
    const named = {
      Manufacturer: vendor,
      Model: model,
      FirmwareVersion: firmware,
      SerialNumber: serial,
      HardwareId: "88",
    };
    const inner = Object.entries(named).map(([name, value]) => tag(`tds:${name}`, text(value)));
    return tag("tds:GetDeviceInformationResponse", inner.join(""));
  }

  #videoSources(): string {
    const of = (item: string, otherwise: number): string =>
      String(this.#model.reading("video", item)[0]?.raw ?? otherwise);
    const [token = "VideoSource_1"] = this.#model
      .reading("video", "framerate")
      .flatMap((one) => one.token ?? []);
    const inner =
      tag("tt:Framerate", of("framerate", 25)) +
      tag("tt:Resolution", tag("tt:Width", of("width", 1920)) + tag("tt:Height", of("height", 1080)));
    return tag("trt:GetVideoSourcesResponse", tag("trt:VideoSources", inner, { token }));
  }

  #uri(operation: string, uri: string): string {
    const inner =
      tag("tt:Uri", text(uri)) +
      tag("tt:InvalidAfterConnect", "false") +
      tag("tt:InvalidAfterReboot", "false") +
      tag("tt:Timeout", "PT0S");
    return tag(`trt:${operation}Response`, tag("trt:MediaUri", inner));
  }

  #recordings(): { token: string; state: string }[] {
    const told = this.#model.reading("recording");
    const jobs = told.length === 0 ? [{ token: undefined, raw: "Active" }] : told;
    return jobs.map(({ token = "RecordingJob_1", raw }) => ({
      token,
      state: raw === 0 ? "Active" : String(raw),
    }));
  }

  #jobs(): string {
    const items = this.#recordings().map(({ token }) =>
      tag("trc:JobItem", tag("tt:JobToken", token) + tag("tt:JobConfiguration", tag("tt:Mode", "Active"))),
    );
    return tag("trc:GetRecordingJobsResponse", items.join(""));
  }

  #jobState(wanted: string): string {
    const job = this.#recordings().find(({ token }) => token === wanted);
    if (job === undefined) return fault("ter:NoRecordingJob", "no such job");
    const inner = tag("tt:RecordingToken", "Recording_1") + tag("tt:State", text(job.state));
    return tag("trc:GetRecordingJobStateResponse", tag("trc:State", inner));
  }

  get isStreaming(): boolean {
    const [told] = this.#model.reading("rtsp");
    return told === undefined || (told.raw !== 0 && told.raw !== false);
  }
}
