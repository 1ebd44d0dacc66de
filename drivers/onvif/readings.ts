import { DeviceError, type Answer, type PointRequest } from "../../gateway/driver.ts";
import { pathOf, portOf, type Endpoint } from "./addresses.ts";
import type { Camera } from "./camera.ts";
import { typed } from "./events.ts";
import { describesVideo } from "./rtsp.ts";
import type { Address } from "./settings.ts";
import { all, at, escape, SoapFault, textAt, type Tree } from "./soap.ts";

/** What a camera is asked for: its clock, its video sources, whether it records, whether its stream is there. */

/** Of one camera; each is a request. */
const jobsMax = 16;
const rtspPort = 554;
const mediaServices = ["media", "media2"] as const;
type MediaService = (typeof mediaServices)[number];

type Points = readonly PointRequest<Address>[];

const refusal = (code: string, reason: string): Answer => ({ value: null, status: "bad", code, reason });

/** Reads `points` in a few requests: one per kind of reading. Rejects with `DeviceError` when the camera is lost. */
export class Readings {
  readonly #camera: Camera;
  #stream: { path: string; port: number | undefined } | undefined;

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
      ask: (mine: readonly Address[]) => Promise<(address: Address) => Answer>,
    ): Promise<void> => {
      const mine = points.flatMap(({ address }, i) => (isMine(address) ? [i] : []));
      if (mine.length === 0) return;
      const give = await ask(mine.map((i) => points[i]!.address)).catch((error: unknown) => {
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
      (mine) => this.#recording(mine, signal),
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

  async #recording(mine: readonly Address[], signal: AbortSignal): Promise<(address: Address) => Answer> {
    const body = await this.#camera.call("recording", "GetRecordingJobs", "", { signal });
    const jobs = all(body["GetRecordingJobsResponse"], "JobItem").flatMap(
      (job) => textAt(job, "JobToken") ?? [],
    );
    const wanted = new Set(mine.map(({ token }) => token ?? jobs[0]));
    const states = new Map<string | undefined, string | undefined>();
    for (const token of jobs.filter((job) => wanted.has(job)).slice(0, jobsMax)) {
      const inner = `<JobToken>${escape(token)}</JobToken>`;
      const reply = await this.#camera.call("recording", "GetRecordingJobState", inner, { signal });
      states.set(token, textAt(at(reply, "GetRecordingJobStateResponse", "State"), "State"));
    }
    return ({ token = jobs[0] }) => {
      if (!states.has(token)) return refusal("no-such-job", `no recording job ${token ?? ""}`.trim());
      return states.get(token) || refusal("not-told", "the camera does not tell the state of this job");
    };
  }

  async #rtsp(signal: AbortSignal): Promise<(address: Address) => Answer> {
    const { settings, place } = this.#camera;
    if (!settings.rtspProbe) return () => refusal("switched-off", "rtspProbe is false");
    this.#stream ??= await this.#streamPlace(signal);
    const { path, port } = this.#stream;
    const isThere = await describesVideo({
      host: settings.host,
      port: settings.rtspPort ?? rtspPort,
      path,
      timeoutMs: settings.timeout,
      signal,
      place,
      digest: (challenges) => this.#camera.digestFor(challenges),
    });
    if (isThere === true) return () => true;
    if (isThere === "denied")
      return () => refusal("denied", "the RTSP server does not take the login by digest");
    // It may have moved.
    this.#stream = undefined;
    if (settings.rtspPort === undefined && port !== undefined && port !== rtspPort)
      return () =>
        refusal(
          "other-port",
          `the camera says that its stream is at port ${port}; write "rtspPort: ${port}"`,
        );
    return () => false;
  }

  /** Of Media, or of Media2 where there is no other (profile T does not ask for the first). */
  async #ofMedia<Found>(
    signal: AbortSignal,
    ask: (service: MediaService, token: string) => Promise<Found>,
  ): Promise<Found> {
    let refused: SoapFault | undefined;
    for (const service of mediaServices) {
      try {
        return await ask(service, await this.#firstProfile(service, signal));
      } catch (error) {
        if (!(error instanceof SoapFault)) throw error;
        refused ??= error;
        if (error.code !== "ServiceNotSupported") refused = error;
      }
    }
    throw refused ?? new SoapFault("NoProfile", "the camera has no media service");
  }

  async #firstProfile(service: MediaService, signal: AbortSignal): Promise<string> {
    const body = await this.#camera.call(service, "GetProfiles", "", { signal });
    const token = textAt(at(body, "GetProfilesResponse", "Profiles"), "@token");
    if (token === undefined) throw new SoapFault("NoProfile", "the camera has no media profile");
    return `<ProfileToken>${escape(token)}</ProfileToken>`;
  }

  #streamPlace(signal: AbortSignal): Promise<{ path: string; port: number | undefined }> {
    return this.#ofMedia(signal, async (service, token) => {
      const schema = "http://www.onvif.org/ver10/schema";
      const how =
        service === "media2"
          ? "<Protocol>RTSP</Protocol>"
          : `<StreamSetup><Stream xmlns="${schema}">RTP-Unicast</Stream><Transport xmlns="${schema}">` +
            "<Protocol>RTSP</Protocol></Transport></StreamSetup>";
      const body = await this.#camera.call(service, "GetStreamUri", how + token, { signal });
      const uri = uriIn(body, "GetStreamUriResponse");
      const path = pathOf(uri, "rtsp");
      if (path === undefined) throw new SoapFault("NoStream", "no rtsp address");
      return { path, port: portOf(uri) };
    });
  }

  /** Where the camera's still picture is. Throws `DeviceError` when it has none. */
  async snapshotPlace(signal: AbortSignal): Promise<Endpoint> {
    const { place } = this.#camera;
    try {
      return await this.#ofMedia(signal, async (service, token) => {
        const body = await this.#camera.call(service, "GetSnapshotUri", token, { signal });
        const endpoint = this.#camera.endpoint(uriIn(body, "GetSnapshotUriResponse"));
        if (endpoint === undefined) throw new SoapFault("NoAddress", "no address of a still picture");
        return endpoint;
      });
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
      throw new DeviceError("unsupported", `${place}: no still picture (${error.message})`);
    }
  }
}

/** Media has it inside a MediaUri, Media2 as it is. */
function uriIn(body: Tree, response: string): string | undefined {
  return textAt(body, response, "MediaUri", "Uri") ?? textAt(body, response, "Uri");
}
