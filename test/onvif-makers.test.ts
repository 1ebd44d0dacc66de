import { describe, expect, it } from "vitest";
import {
  type Asked,
  type Reply,
  camera,
  connect,
  created,
  fault,
  held,
  listen,
  nothing,
  notification,
  pulled,
  rate,
  read,
  services,
  simple,
  soap,
  stamp,
  stateOf,
} from "./onvif-makers-rig.ts";
import { codeOf, login, patient, until } from "./onvif-rig.ts";

/** Services, logins and subscriptions of cameras that differ from our own pretend one. */

describe("a service that is not there", () => {
  it.each([404, 500, 503])(
    "answers HTTP %i without SOAP: bad for its readings, and the rest goes on",
    async (status) => {
      const running = await camera((base) => ({
        GetServices: () =>
          services(base, { "ver10/events": "/e", "ver10/media": "/m", "ver10/recording": "/r" }),
        GetRecordingJobs: () => ({ status, body: "<html>no</html>" }),
      }));
      const connection = await connect(running);
      const [frames, recording] = await read(connection, rate, { reading: "recording" });
      expect(frames).toBe(25);
      expect(recording).toMatchObject({ value: null, status: "bad", code: `soap-HTTP-${status}` });
    },
  );

  it("GetServices itself: what GetCapabilities tells is used", async () => {
    const running = await camera((base) => ({
      GetServices: () => ({ status: 400, body: "" }),
      GetCapabilities: () =>
        soap(
          `<GetCapabilitiesResponse><Capabilities><Events><XAddr>${base}/events</XAddr></Events><Media><XAddr>/media</XAddr></Media></Capabilities></GetCapabilitiesResponse>`,
        ),
    }));
    const connection = await connect(running);
    expect(await read(connection, rate)).toEqual([25]);
    expect(running.requests.at(-1)?.url).toBe("/media");
    listen(connection);
    await until("a pull", () => (running.counts["PullMessages"] ?? 0) > 0);
  });

  it("Media, but Media2 is: stream and picture are asked for there", async () => {
    const jpeg = Buffer.from("ffd8ffe000", "hex");
    const running = await camera((base) => ({
      GetServices: () => services(base, { "ver10/events": "/e", "ver20/media": "/m2" }),
      GetProfiles: () =>
        soap('<GetProfilesResponse><Profiles token="P&amp;1" fixed="true"/></GetProfilesResponse>'),
      GetStreamUri: () =>
        soap("<GetStreamUriResponse><Uri>rtsp://[fe80::1%25eth0]:8554/live</Uri></GetStreamUriResponse>"),
      GetSnapshotUri: () =>
        soap(`<GetSnapshotUriResponse><Uri>${base}/still?p=1</Uri></GetSnapshotUriResponse>`),
      GET: () => ({ headers: { "Content-Type": "image/jpeg" }, body: jpeg }),
    }));
    const connection = await connect(running);
    expect(Buffer.from((await connection.snapshot!(patient())).bytes)).toEqual(jpeg);
    const asked = running.requests.find(({ operation }) => operation === "GetSnapshotUri");
    expect(asked?.url).toBe("/m2");
    expect(asked?.xml).toContain(
      '<GetSnapshotUri xmlns="http://www.onvif.org/ver20/media/wsdl"><ProfileToken>P&amp;1<',
    );
    // Nothing is at 554 here, and the camera says where it is.
    const [stream] = await read(connection, { reading: "rtsp" });
    expect(stream).toMatchObject({ code: "other-port", reason: expect.stringContaining("8554") as string });
    expect(running.requests.findLast(({ operation }) => operation === "GetStreamUri")?.xml).toContain(
      "<Protocol>RTSP</Protocol><ProfileToken>P&amp;1</ProfileToken>",
    );
  });
});

it("a camera with an address of IPv6 is asked there, whatever zone the addresses name that it gives", async () => {
  const running = await camera(
    (base) => ({
      GetServices: () => services("http://[fe80::1%eth0]", { "ver10/events": "/e", "ver10/media": "/m" }),
      CreatePullPointSubscription: () => created(base.replace("127.0.0.1", "[fe80::1%25eth0]")),
    }),
    "::1",
  );
  const connection = await connect(running, { host: "::1" });
  expect(await read(connection, rate)).toEqual([25]);
  expect(running.requests.at(-1)?.request.headers.host).toBe(`[::1]:${running.port}`);
  listen(connection);
  await until("a pull", () => (running.counts["PullMessages"] ?? 0) > 0);
});

describe("logins", () => {
  it("asked for by a fault with HTTP status 200, or in words only", async () => {
    for (const [code, reason] of [
      ["ter:NotAuthorized", "no"],
      ["ter:Whatever", "The action requested requires authorization: Sender not authorized"],
    ] as const) {
      const running = await camera(() => ({
        GetVideoSources: ({ xml }) =>
          xml.includes("PasswordDigest")
            ? soap(
                '<GetVideoSourcesResponse><VideoSources token="V1"><Framerate>25</Framerate></VideoSources></GetVideoSourcesResponse>',
              )
            : { status: 200, body: fault(code, reason) },
      }));
      expect(await read(await connect(running, login), rate)).toEqual([25]);
    }
  });

  it("by a nonce for one request only: two calls at once both come in, and a wrong password is one try", async () => {
    const open = new Set<string>();
    let refused = 0;
    const guard =
      (answer: () => Reply | Promise<Reply>) =>
      async ({ request: { headers }, count }: Asked): Promise<Reply> => {
        const [, nonce = ""] = /nonce="(\w+)"/.exec(headers.authorization ?? "") ?? [];
        if (open.delete(nonce) && !headers.authorization?.includes("wrong")) return answer();
        if (headers.authorization !== undefined) refused++;
        const fresh = `n${open.size}x${count}x${Math.random().toString(36).slice(2)}`;
        open.add(fresh);
        // Late enough for the other call to have come between.
        await new Promise((resolve) => setTimeout(resolve, 50));
        return {
          status: 401,
          headers: { "WWW-Authenticate": `Basic realm="c", Digest realm="c", nonce="${fresh}", qop="auth"` },
        };
      };
    const running = await camera((base) => ({
      GetDeviceInformation: guard(() =>
        soap("<GetDeviceInformationResponse><Model>M</Model></GetDeviceInformationResponse>"),
      ),
      CreatePullPointSubscription: guard(() => created(`${base}/sub`)),
      PullMessages: guard(() => nothing()),
    }));
    for (let i = 0; i < 5; i++) {
      const connection = await connect(running, login);
      const { done, stop } = listen(connection);
      expect(await codeOf(connection.identify(patient()))).toBe("resolved");
      const before = running.counts["PullMessages"] ?? 0;
      await until("pulls", () => (running.counts["PullMessages"] ?? 0) > before + 2);
      stop.abort();
      expect(await codeOf(done)).toBe("resolved");
      await connection.close();
    }
    refused = 0;
    const connection = await connect(running, { user: "wrong", password: "Trial-7-only" });
    expect(await codeOf(connection.identify(patient()))).toBe("denied");
    expect(refused).toBe(1);
  });
});

describe("subscriptions", () => {
  it.each(["Subcode", "Detail", "page"])(
    "whose end is written the wrong way are asked for in the other (%s)",
    async (how) => {
      const name = "UnacceptableInitialTerminationTimeFault";
      const refusal: Record<string, Reply> = {
        Subcode: fault(`wsnt:${name}`),
        Detail: soap(
          `<Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>x</faultstring><detail><n:${name} xmlns:n="b"/></detail></Fault>`,
        ),
        page: { status: 400, body: "<html/>" },
      };
      for (const works of [
        "PT60S",
        '<CreatePullPointSubscription xmlns="http://www.onvif.org/ver10/events/wsdl"></',
      ]) {
        const running = await camera((base) => ({
          CreatePullPointSubscription: ({ xml }) =>
            xml.includes(works) ? created(`${base}/sub`) : refusal[how]!,
        }));
        const { done } = listen(await connect(running));
        await until("a pull", () => (running.counts["PullMessages"] ?? 0) > 0);
        expect(running.counts["CreatePullPointSubscription"]).toBeLessThanOrEqual(3);
        expect(await stateOf(done)).toBe("on");
      }
    },
  );

  it("that the camera refuses for another reason are asked for once", async () => {
    const running = await camera(() => ({
      CreatePullPointSubscription: () => fault("ter:CriticalError", "maximum"),
    }));
    expect(await codeOf(listen(await connect(running)).done)).toBe("rejected");
    expect(running.counts["CreatePullPointSubscription"]).toBe(1);
  });

  it("that live on although they cannot be renewed are asked as calmly as before", async () => {
    const endsMs = Date.now() + 1000;
    const running = await camera((base) => ({
      CreatePullPointSubscription: ({ count }) =>
        count === 1 ? created(`${base}/sub`, 1000) : fault("ter:CriticalError", "maximum"),
      Renew: () => fault("ter:ActionNotSupported"),
      PullMessages: ({ xml }) => held(xml, endsMs),
    }));
    const { done } = listen(await connect(running, { lifetime: "4s", pull: "1s" }));
    expect(await stateOf(done, 4500)).toBe("on");
    expect(running.counts["Renew"]).toBe(1);
    expect(running.counts["CreatePullPointSubscription"]).toBe(2);
    expect(running.counts["PullMessages"]).toBeLessThanOrEqual(7);
  });

  it("of a camera that holds and gives less than it is asked for, and says so, are pulled as it can", async () => {
    const running = await camera(() => ({
      PullMessages: ({ xml }) =>
        /PT5S<.*MessageLimit>3</.test(xml)
          ? held("<Timeout>PT0.1S<", Date.now() + 60_000)
          : soap(
              `<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text xml:lang="en">no</e:Text></e:Reason><e:Detail><PullMessagesFaultResponse xmlns="http://www.onvif.org/ver10/events/wsdl"><MaxTimeout>PT5S</MaxTimeout><MaxMessageLimit>3</MaxMessageLimit></PullMessagesFaultResponse></e:Detail></e:Fault>`,
            ),
    }));
    const { done } = listen(await connect(running, { pull: "20s" }));
    await until("pulls", () => (running.counts["PullMessages"] ?? 0) > 3);
    expect(running.counts["CreatePullPointSubscription"]).toBe(1);
    expect(await stateOf(done)).toBe("on");
  });

  it.each([
    ["local time", 7 * 3_600_000],
    ["the time of asking", 0],
  ])(
    "whose end is told as %s are renewed in time, and not in a storm",
    async (_, shiftMs) => {
      const ends = (): string =>
        `<CurrentTime>${stamp(Date.now())}</CurrentTime><TerminationTime>${stamp(Date.now() + shiftMs)}</TerminationTime>`;
      let endsMs = 0;
      const running = await camera((base) => ({
        CreatePullPointSubscription: () => {
          endsMs = Date.now() + 4000;
          return soap(
            `<CreatePullPointSubscriptionResponse><SubscriptionReference><Address>${base}/s</Address></SubscriptionReference>${ends()}</CreatePullPointSubscriptionResponse>`,
          );
        },
        Renew: () => {
          endsMs = Date.now() + 4000;
          return soap(`<RenewResponse>${ends()}</RenewResponse>`);
        },
        PullMessages: async () => {
          if (Date.now() > endsMs) return fault("wsrf-rw:ResourceUnknownFault");
          await new Promise((resolve) => setTimeout(resolve, 500));
          return soap(`<PullMessagesResponse>${ends()}</PullMessagesResponse>`);
        },
      }));
      const { done } = listen(await connect(running, { lifetime: "4s", pull: "500ms" }));
      expect(await stateOf(done, 6500)).toBe("on");
      expect(running.counts["CreatePullPointSubscription"]).toBe(1);
      expect(running.counts["Renew"]).toBeGreaterThan(0);
      expect(running.counts["Renew"]).toBeLessThan(5);
    },
    15_000,
  );

  it("whose answers tell an end that has long been are not made anew by each", async () => {
    const running = await camera(() => ({
      Renew: () => fault("ter:ActionNotSupported"),
      PullMessages: ({ xml }) => held(xml, Date.now() - 3_600_000),
    }));
    listen(await connect(running, { pull: "300ms" }));
    await until("pulls", () => (running.counts["PullMessages"] ?? 0) > 4);
    expect(running.counts["CreatePullPointSubscription"]).toBe(1);
  });

  it("of a camera that gives one event at a time lose none when one follows another, and tell none twice", async () => {
    const queues = new Map<string, string[]>();
    const ends: number[] = [];
    let id = 0;
    let sent = 0;
    const tell = (): void => {
      const told = notification({ items: simple("Plate", `P${sent++}`) });
      for (const queue of queues.values()) queue.push(told);
    };
    const running = await camera((base) => ({
      CreatePullPointSubscription: () => {
        queues.set(`/sub${++id}`, []);
        ends.push(Date.now() + 4000);
        return created(`${base}/sub${id}`, 4000);
      },
      Renew: () => {
        // What comes in just before the next one is made.
        for (let i = 0; i < 8; i++) tell();
        return fault("ter:ActionNotSupported");
      },
      PullMessages: async ({ url }) => {
        const queue = queues.get(url);
        if (queue === undefined) return fault("wsrf-rw:ResourceUnknownFault");
        if (queue.length === 0) await new Promise((resolve) => setTimeout(resolve, 200));
        return pulled(queue.shift() ?? "", Date.now(), ends[Number(url.slice(4)) - 1]);
      },
      Unsubscribe: ({ url }) => {
        queues.delete(url);
        return soap("<UnsubscribeResponse/>");
      },
    }));
    const { values } = listen(await connect(running, { lifetime: "4s", pull: "500ms" }));
    await until("a second subscription in use", () => id === 2 && queues.size === 1, 10_000);
    for (let i = 0; i < 3; i++) tell();
    await until("the last plate", () => values().includes(`P${sent - 1}`));
    expect(values()).toEqual(Array.from({ length: sent }, (__, i) => `P${i}`));
  }, 20_000);

  it("at a port of their own are followed where the site lists it, and else the error names it", async () => {
    const other = await camera(() => ({
      PullMessages: () => pulled(notification({ items: simple("Plate", "P") })),
    }));
    const running = await camera(() => ({
      CreatePullPointSubscription: () => created(`http://10.9.9.9:${other.port}/event-0_1024`),
      PullMessages: () => ({ status: 404 }),
    }));
    const { told } = listen(await connect(running, { ports: [other.port] }));
    await until("a plate", () => told.length > 0);
    expect(other.requests[0]?.url).toBe("/event-0_1024");
    const before = other.requests.length;
    const { done } = listen(await connect(running));
    await expect(done).rejects.toThrow(`ports: [${other.port}]`);
    // The first one is still listening.
    expect(other.requests.slice(before).every(({ url }) => url === "/event-0_1024")).toBe(true);
  });
});
