import { alarmArguments, alarms, has, type ObjectType } from "./sxl.ts";

/** State of one alarm of one component. */
interface AlarmState {
  component: string;
  code: string;
  externalCode: string;
  isActive: boolean;
  isAcknowledged: boolean;
  isSuspended: boolean;
  /** When it last became active or inactive. */
  sinceMs: number;
  rvs: { n: string; v: string }[];
}

/** What the site tells of an alarm, but for its message id. */
export type AlarmNote = Record<string, unknown>;

/** The alarms of a controller and their states (RSMP 3.2.2, 4.4.2). */
export class AlarmBoard {
  readonly #states = new Map<string, AlarmState>();
  #sxl: string;
  readonly #now: () => number;

  constructor(sxl: string, now: () => number, components: Readonly<Record<ObjectType, readonly string[]>>) {
    this.#sxl = sxl;
    this.#now = now;
    for (const [code, { on }] of Object.entries(alarms)) {
      if (!has(sxl, code)) continue;
      for (const component of components[on]) this.#state(component, code);
    }
  }

  become(sxl: string): void {
    this.#sxl = sxl;
  }

  #state(component: string, code: string): AlarmState {
    const key = `${component} ${code}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      state = {
        component,
        code,
        externalCode: "",
        isActive: false,
        isAcknowledged: false,
        isSuspended: false,
        sinceMs: this.#now(),
        rvs: [],
      };
      this.#states.set(key, state);
    }
    return state;
  }

  isKnown(code: string): boolean {
    return alarms[code] !== undefined && has(this.#sxl, code);
  }

  /** True when this component can have this alarm: others are not made up because somebody asks for them. */
  has(component: string, code: string): boolean {
    return this.#states.has(`${component} ${code}`);
  }

  isActive(priority: string): boolean {
    return [...this.#states.values()].some(
      (state) => state.isActive && alarms[state.code]?.priority === priority,
    );
  }

  /** All alarms, inactive ones too: what a site tells after each connection. */
  all(): AlarmNote[] {
    return [...this.#states.values()].map((state) => this.#note(state, "Issue", state.sinceMs));
  }

  request(component: string, code: string): AlarmNote {
    const state = this.#state(component, code);
    return this.#note(state, "Issue", state.sinceMs);
  }

  /** An alarm comes or goes, with whatever else is said of it; undefined while it is suspended. */
  raise(
    component: string,
    code: string,
    given: { active: boolean; acknowledged?: boolean; suspended?: boolean; externalCode?: string },
    values: ReadonlyMap<string, string> = new Map(),
  ): AlarmNote | undefined {
    const state = this.#state(component, code);
    const isMuted = state.isSuspended && given.suspended === undefined;
    if (given.active && !state.isActive) state.isAcknowledged = false;
    state.isActive = given.active;
    state.isAcknowledged = given.acknowledged ?? state.isAcknowledged;
    state.isSuspended = given.suspended ?? state.isSuspended;
    state.externalCode = given.externalCode ?? state.externalCode;
    state.sinceMs = this.#now();
    state.rvs = (alarms[code]?.names ?? []).map((n) => ({ n, v: values.get(n) ?? alarmArguments[n] ?? "" }));
    return isMuted ? undefined : this.#note(state, "Issue", state.sinceMs);
  }

  acknowledge(component: string, code: string): AlarmNote {
    const state = this.#state(component, code);
    state.isAcknowledged = true;
    return this.#note(state, "Acknowledge", this.#now());
  }

  suspend(component: string, code: string, isSuspended: boolean): AlarmNote {
    const state = this.#state(component, code);
    state.isSuspended = isSuspended;
    return this.#note(state, "Suspend", this.#now());
  }

  #note(state: AlarmState, event: "Issue" | "Acknowledge" | "Suspend", atMs: number): AlarmNote {
    const { component, code, externalCode, isActive, isAcknowledged, isSuspended, rvs } = state;
    // The published schemas spell it small in an Issue and large in the answers.
    const suspended = event === "Issue" ? "suspended" : "Suspended";
    return {
      ntsOId: "",
      xNId: "",
      cId: component,
      aCId: code,
      xACId: externalCode,
      xNACId: "",
      aSp: event,
      ack: isAcknowledged ? "Acknowledged" : "notAcknowledged",
      aS: isActive ? "Active" : "inActive",
      sS: isSuspended ? suspended : "notSuspended",
      aTs: new Date(atMs).toISOString(),
      cat: "D",
      pri: alarms[code]?.priority ?? "3",
      rvs,
    };
  }
}
