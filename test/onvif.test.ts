import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Trouble } from "../simulators/onvif/index.ts";
import {
  camera,
  cleanups,
  codeOf,
  connect,
  identity,
  listen,
  login,
  patient,
  read,
  until,
} from "./onvif-rig.ts";

/** The ONVIF driver before its pretend camera: what goes wrong with cameras. */

describe("a clock that is wrong", () => {
  it.each(["ws-token", "auto"])(
    "by 7 hours: is told, does not stop the login by %s, and its events are right",
    async (auth) => {
      const running = await camera({ auth });
      running.fault("clockWrong");
      const connection = await connect(running, { auth });
      expect(await connection.identify(patient())).toMatchObject(identity);
      const { answers } = await read(connection, { reading: "clock-skew" });
      expect(Math.abs(Number(answers[0]) - 25_200)).toBeLessThanOrEqual(1);
      const { told } = listen(connection);
      await until("the initial state", () => told.length > 0);
      running.tell("motion", { moving: true });
      await until("the motion", () => told.length > 1);
      const { phase, sourceTimeMs = 0 } = told[1]!;
      expect(phase).toBe("changed");
      expect(Math.abs(sourceTimeMs - Date.now())).toBeLessThan(3000);
    },
  );

  it("that is set while connected costs one more login and nothing else", async () => {
    const running = await camera({ auth: "ws-token" });
    const connection = await connect(running, { auth: "ws-token" });
    await connection.identify(patient());
    running.fault("clockWrong");
    expect((await read(connection, { reading: "video", item: "framerate" })).answers).toEqual([25]);
    expect(running.logins.refused).toBe(1);
  });
});

describe("logins", () => {
  it.each(["auto", "digest", "ws-token"])("a wrong password is denied after one try (%s)", async (auth) => {
    const running = await camera({ auth });
    const connection = await connect(running, { auth, password: "wrong-but-no-default" });
    expect(await codeOf(connection.identify(patient()))).toBe("denied");
    expect(running.logins).toEqual({ good: 0, refused: 1 });
  });

  it("a camera that refuses a right one is denied too, and good again afterwards", async () => {
    const running = await camera();
    running.trouble("loginRefused");
    const connection = await connect(running);
    expect(await codeOf(connection.identify(patient()))).toBe("denied");
    running.trouble(undefined);
    // On the same connection nothing is asked any more: each refusal counts towards a locked account.
    expect(await codeOf(connection.identify(patient()))).toBe("denied");
    expect(running.logins.refused).toBe(1);
    expect(await codeOf((await connect(running)).identify(patient()))).toBe("resolved");
  });

  it("a camera that wants a login for its time, too, and refuses it is not asked again", async () => {
    const running = await camera();
    const connection = await connect(running);
    running.trouble("deniesAll");
    for (let i = 0; i < 3; i++)
      expect(await codeOf(read(connection, { reading: "clock-skew" }))).toBe("denied");
    expect(running.logins.refused).toBe(1);
  });

  it("a nonce that has run out is met by a new one", async () => {
    const running = await camera();
    const connection = await connect(running);
    await connection.identify(patient());
    running.trouble("nonceOld");
    expect((await read(connection, { reading: "video", item: "framerate" })).answers).toEqual([25]);
  });

  it("the password is in no request", async () => {
    for (const auth of ["auto", "ws-token"]) {
      const running = await camera({ auth });
      const connection = await connect(running, { auth });
      await connection.identify(patient());
      expect(running.requests.join("")).not.toContain(login.password);
    }
  });

  it("a user that may not see one thing is told so, and sees the rest", async () => {
    const running = await camera();
    running.trouble("forbidsRecording");
    const connection = await connect(running);
    const { answers } = await read(
      connection,
      { reading: "video", item: "framerate" },
      { reading: "recording" },
    );
    expect(answers).toEqual([25, expect.objectContaining({ status: "bad", code: "soap-NotAuthorized" })]);
    expect(await codeOf(connection.identify(patient()))).toBe("resolved");
    expect(running.logins.refused).toBe(0);
  });

  it("no login is sent where none is configured", async () => {
    const running = await camera({ auth: "none" });
    const connection = await connect(running, { user: undefined, password: undefined, auth: "none" });
    expect(await connection.identify(patient())).toMatchObject(identity);
    expect(running.requests.join("")).not.toContain("UsernameToken");
  });
});

describe("answers that are none", () => {
  const outcomes: [Trouble, string][] = [
    ["truncated", "hung-up"],
    ["drip", "silent"],
    ["huge", "garbage"],
    ["bomb", "garbage"],
    ["compressed", "garbage"],
    ["redirect", "garbage"],
  ];
  it.each(outcomes)(
    "%s: %s within the time, while connected, while subscribed and at the start",
    async (trouble, code) => {
      const running = await camera();
      const connection = await connect(running);
      const { done, told } = listen(connection);
      await until("the initial state", () => told.length > 0);
      running.trouble(trouble);
      const begunMs = performance.now();
      expect(await codeOf(connection.identify(patient()))).toBe(code);
      expect(performance.now() - begunMs).toBeLessThan(1500);
      expect(await codeOf(done)).toBe(code);
      expect(await codeOf(connect(running))).toBe(code);
      running.trouble(undefined);
      expect(await codeOf(connection.identify(patient()))).toBe("resolved");
    },
  );
});

async function strange(): Promise<{ server: Server; port: number; calls: () => number }> {
  let calls = 0;
  const server = createServer((socket) => {
    calls++;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => void server.close());
  const where = server.address();
  return { server, port: typeof where === "object" ? (where?.port ?? 0) : 0, calls: () => calls };
}

it.each([1, 2])(
  "a camera that names another machine is asked itself, and the other one never (style %i)",
  async (seed) => {
    const running = await camera({}, seed);
    const other = await strange();
    running.claimHost(`127.0.0.1:${other.port}`);
    const connection = await connect(running);
    const { told, stop } = listen(connection);
    await until("the initial state", () => told.length > 0);
    const { answers } = await read(connection, { reading: "rtsp" }, { reading: "video", item: "framerate" });
    expect(answers).toEqual([true, 25]);
    expect((await connection.snapshot!(patient())).type).toBe("image/jpeg");
    stop.abort();
    await connection.close();
    expect(running.pullPoints.counts).toMatchObject({ created: 1, unsubscribed: 1 });
    expect(other.calls()).toBe(0);
  },
);

describe("subscriptions", () => {
  it("are given back when the connection is closed, and after an abort", async () => {
    for (const how of ["close", "abort"]) {
      const running = await camera();
      const connection = await connect(running);
      const { told, stop, done } = listen(connection);
      await until("the initial state", () => told.length > 0);
      expect(running.pullPoints.size).toBe(1);
      if (how === "abort") {
        stop.abort();
        await done;
      }
      await connection.close();
      expect(running.pullPoints.size).toBe(0);
    }
  });

  it("that the camera has lost end the connection, and are not made anew by the driver", async () => {
    const running = await camera();
    const connection = await connect(running);
    const { told, done } = listen(connection);
    await until("the initial state", () => told.length > 0);
    running.loseSubscriptions();
    expect(await codeOf(done)).toBe("rejected");
    await sleep(300);
    expect(running.pullPoints.counts.created).toBe(1);
  });

  it("are renewed before their end", async () => {
    const running = await camera();
    const connection = await connect(running, { lifetime: "4s", pull: "400ms" });
    const { told, done } = listen(connection);
    await until("the initial state", () => told.length > 0);
    const state = await Promise.race([codeOf(done), sleep(5500, "on")]);
    expect(state).toBe("on");
    expect(running.pullPoints.counts.created).toBe(1);
    expect(running.pullPoints.counts.renewed).toBeGreaterThan(0);
    running.tell("motion", { moving: true });
    await until("the motion", () => told.length > 1);
  });

  it("whose answers are held long are renewed all the same before they end", async () => {
    const running = await camera();
    const connection = await connect(running, { lifetime: "8s", pull: "4s" });
    const { told, done } = listen(connection);
    await until("the initial state", () => told.length > 0);
    expect(await Promise.race([codeOf(done), sleep(9500, "on")])).toBe("on");
    expect(running.pullPoints.counts).toMatchObject({ created: 1 });
  }, 15_000);

  it("that cannot be renewed are followed by others before they end: nothing is lost or told twice", async () => {
    const running = await camera();
    running.trouble("refusesRenew");
    const connection = await connect(running, { lifetime: "3s", pull: "400ms" });
    const { told, done } = listen(connection);
    await until("the initial state", () => told.length > 0);
    let sent = 0;
    const clock = setInterval(() => running.tell("plate", { plate: `PLATE-${sent++}` }), 50);
    cleanups.push(() => clearInterval(clock));
    await until("a third subscription", () => running.pullPoints.counts.created > 2);
    await sleep(500);
    clearInterval(clock);
    const plates = () => told.flatMap(({ answers }) => answers.filter((one) => typeof one === "string"));
    await until("the last plate", () => plates().includes(`PLATE-${sent - 1}`));
    expect(plates()).toEqual(Array.from({ length: sent }, (_, i) => `PLATE-${i}`));
    expect(await Promise.race([codeOf(done), sleep(10, "on")])).toBe("on");
    expect(running.pullPoints.size).toBe(1);
    await connection.close();
    expect(running.pullPoints.size).toBe(0);
  }, 15_000);

  it("that can be neither renewed nor followed live to their end, with one attempt at each", async () => {
    const running = await camera();
    running.trouble("hasRoomForOne");
    const connection = await connect(running, { lifetime: "3s", pull: "400ms" });
    const begunMs = performance.now();
    const { done } = listen(connection);
    expect(await codeOf(done)).toBe("rejected");
    expect(performance.now() - begunMs).toBeGreaterThan(2000);
    const renewals = running.requests.filter((one) => one.includes("<Renew "));
    expect(renewals).toHaveLength(1);
    expect(running.pullPoints.counts).toMatchObject({ created: 2, refused: 1 });
  });

  it.each(["hidesTime", "answersAtOnce"] as const)(
    "%s: the camera is asked no more than once a second",
    async (trouble) => {
      const running = await camera();
      running.trouble(trouble);
      const connection = await connect(running);
      const { told, signs } = listen(connection);
      await until("the initial state", () => told.length > 0);
      const before = running.pullPoints.counts.pulls;
      await sleep(3000);
      expect(running.pullPoints.counts.pulls - before).toBeLessThanOrEqual(4);
      expect(signs()).toBeGreaterThan(1);
    },
  );

  it("hand on nothing that no record names: faces stay in the camera's answer", async () => {
    const running = await camera();
    const connection = await connect(running);
    const { told } = listen(connection);
    await until("the initial state", () => told.length > 0);
    const face = { part: "Data" as const, name: "Likelihood", value: "0.93" };
    running.happen({ topic: "RuleEngine/Recognition/Face", operation: undefined, items: [face] });
    running.tell("motion", { moving: true });
    await until("the motion", () => told.length > 1);
    await sleep(300);
    expect(told).toHaveLength(2);
  });
});

it("the stream is asked for by DESCRIBE with a login, and one that is not there is false", async () => {
  const running = await camera();
  const connection = await connect(running);
  expect((await read(connection, { reading: "rtsp" })).answers).toEqual([true]);
  const other = await strange();
  const elsewhere = await connect(running, { rtspPort: other.port });
  expect((await read(elsewhere, { reading: "rtsp" })).answers).toEqual([false]);
  const off = await connect(running, { rtspProbe: false, rtspPort: other.port });
  expect((await read(off, { reading: "rtsp" })).answers[0]).toMatchObject({ code: "switched-off" });
  expect(other.calls()).toBe(1);
});

it("a stream whose server wants the password in the clear is neither there nor gone", async () => {
  const running = await camera();
  const basic = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () =>
      socket.write('RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'),
    );
  }).listen(0, "127.0.0.1");
  await once(basic, "listening");
  cleanups.push(() => void basic.close());
  const where = basic.address();
  const rtspPort = typeof where === "object" ? where?.port : undefined;
  const { answers } = await read(await connect(running, { rtspPort }), { reading: "rtsp" });
  expect(answers[0]).toMatchObject({ value: null, status: "bad", code: "denied" });
});

it("a page instead of a picture is no picture", async () => {
  const running = await camera();
  const connection = await connect(running);
  running.trouble("pageForPicture");
  expect(await codeOf(connection.snapshot!(patient()))).toBe("garbage");
});
