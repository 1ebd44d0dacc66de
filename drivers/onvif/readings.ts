import { DeviceError, type Answer, type PointRequest } from "../../gateway/driver.ts";
import type { Camera } from "./camera.ts";
import { pathOf } from "./camera.ts";
import { typed } from "./events.ts";
import { describesVideo } from "./rtsp.ts";
import type { Address } from "./settings.ts";
import { all, at, escape, SoapFault, textAt } from "./soap.ts";

/** What a camera is asked for: its clock, its video sources, whether it records, whether its stream is there. */

const jobsMax = 8;

type Points = readonly PointRequest<Address>[];

const refusal = (code: string, reason: string): Answer => ({ value: null, status: "bad", code, reason });

/** Reads `points` in a few requests: one per kind of reading. Rejects with `DeviceError` when the camera is lost. */
export class Readings {
  readonly #camera: Camera;
  #stream: string | undefined;

  constructor(camera: Camera) {
    this.#camera = camera;
  }

  async read(points: Points, signal: AbortSignal): Promise<{ answers: Answer[]; atMs: number[] }> {
    const answers: Answer[] = points.map(() =>
      refusal("told-only", "the camera tells this by itself and cannot be asked for it"),
    );
    const atMs: number[] = points.map(() => performance.now());
    const fill = async (
      isMine: (address: Address) => boolean,
      ask: () => Promise<(address: Address) => Answer>,
    ): Promise<void> => {
      const mine = points.flatMap(({ address }, i) => (isMine(address) ? [i] : []));
      if (mine.length === 0) return;
      const give = await ask().catch((error: unknown) => {
        if (!(error instanceof SoapFault)) throw error;
        return () => refusal(`soap-${error.code}`, error.message);
      });
      for (const i of mine) {
        answers[i] = give(points[i]!.address);
        atMs[i] = performance.now();
      }
    };
    await fill(
      ({ reading }) => reading === "clock-skew" || reading === "reachability",
      () => this.#clock(signal),
    );
    await fill(
      ({ reading }) => reading === "video",
      () => this.#video(signal),
    );
    await fill(
      ({ reading }) => reading === "recording",
      () => this.#recording(signal),
    );
    await fill(
      ({ reading }) => reading === "rtsp",
      () => this.#rtsp(signal),
    );
    return { answers, atMs };
  }

  async #clock(signal: AbortSignal): Promise<(address: Address) => Answer> {
    const skewMs = await this.#camera.measureClock(signal);
    return ({ reading }) => {
      if (reading === "reachability") return true;
      if (skewMs === undefined) return refusal("no-time", "the camera does not tell its time in UTC");
      return Math.round(skewMs / 1000);
    };
  }

  async #video(signal: AbortSignal): Promise<(address: Address) => Answer> {
    const body = await this.#camera.call("media", "GetVideoSources", "", { signal });
    const sources = all(body["GetVideoSourcesResponse"], "VideoSources");
    return ({ token, item }) => {
      const source =
        token === undefined ? sources[0] : sources.find((one) => textAt(one, "@token") === token);
      if (source === undefined) return refusal("no-such-source", `no video source ${token ?? ""}`.trim());
      const text =
        item === "framerate"
          ? textAt(source, "Framerate")
          : textAt(source, "Resolution", item === "width" ? "Width" : "Height");
      return text === undefined
        ? refusal("not-told", `the camera does not tell the ${item ?? ""}`)
        : typed(text, "number");
    };
  }

  async #recording(signal: AbortSignal): Promise<(address: Address) => Answer> {
    const body = await this.#camera.call("recording", "GetRecordingJobs", "", { signal });
    const tokens = all(body["GetRecordingJobsResponse"], "JobItem")
      .flatMap((job) => textAt(job, "JobToken") ?? [])
      .slice(0, jobsMax);
    const states = new Map<string, string>();
    for (const token of tokens) {
      const inner = `<JobToken>${escape(token)}</JobToken>`;
      const reply = await this.#camera.call("recording", "GetRecordingJobState", inner, { signal });
      states.set(token, textAt(at(reply, "GetRecordingJobStateResponse", "State"), "State") ?? "");
    }
    return ({ token }) => {
      const state = token === undefined ? [...states.values()][0] : states.get(token);
      if (state === undefined) return refusal("no-such-job", `no recording job ${token ?? ""}`.trim());
      return state;
    };
  }

  async #rtsp(signal: AbortSignal): Promise<(address: Address) => Answer> {
    const { settings, place } = this.#camera;
    if (!settings.rtspProbe) return () => refusal("switched-off", "rtspProbe is false");
    this.#stream ??= await this.#streamPath(signal);
    const isThere = await describesVideo({
      host: settings.host,
      port: settings.rtspPort,
      path: this.#stream,
      timeoutMs: settings.timeout,
      signal,
      place,
      digest: (challenges) => this.#camera.digestFor(challenges),
    });
    return () =>
      isThere === "denied" ? refusal("denied", "the RTSP server does not take the login by digest") : isThere;
  }

  async #firstProfile(signal: AbortSignal): Promise<string> {
    const body = await this.#camera.call("media", "GetProfiles", "", { signal });
    const token = textAt(at(body, "GetProfilesResponse", "Profiles"), "@token");
    if (token === undefined) throw new SoapFault("NoProfile", "the camera has no media profile");
    return escape(token);
  }

  async #streamPath(signal: AbortSignal): Promise<string> {
    const token = await this.#firstProfile(signal);
    const schema = "http://www.onvif.org/ver10/schema";
    const inner =
      `<StreamSetup><Stream xmlns="${schema}">RTP-Unicast</Stream><Transport xmlns="${schema}">` +
      `<Protocol>RTSP</Protocol></Transport></StreamSetup><ProfileToken>${token}</ProfileToken>`;
    const body = await this.#camera.call("media", "GetStreamUri", inner, { signal });
    const url = URL.parse(textAt(body, "GetStreamUriResponse", "MediaUri", "Uri") ?? "");
    const path = url === null ? "" : `${url.pathname}${url.search}`;
    if (url?.protocol !== "rtsp:" || path.length > 500) throw new SoapFault("NoStream", "no rtsp address");
    return path;
  }

  /** The path of the camera's still picture. Throws `DeviceError` when it has none. */
  async snapshotPath(signal: AbortSignal): Promise<string> {
    const { place } = this.#camera;
    try {
      const inner = `<ProfileToken>${await this.#firstProfile(signal)}</ProfileToken>`;
      const body = await this.#camera.call("media", "GetSnapshotUri", inner, { signal });
      const path = pathOf(textAt(body, "GetSnapshotUriResponse", "MediaUri", "Uri"));
      if (path !== undefined) return path;
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
      throw new DeviceError("unsupported", `${place}: no still picture (${error.message})`);
    }
    throw new DeviceError("unsupported", `${place}: no address of a still picture`);
  }
}
