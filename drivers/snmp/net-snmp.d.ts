/** The part of net-snmp 3.29.2 that this driver uses; the package brings no types of its own. */
declare module "net-snmp" {
  import type { EventEmitter } from "node:events";

  export interface Varbind {
    oid: string;
    type: number;
    value: unknown;
  }

  /** What net-snmp wants of `node:dgram`, so that somebody else can bring the socket. */
  export interface DgramModule {
    createSocket(transport: string): EventEmitter;
  }

  export interface SnmpUser {
    name: string;
    level: number;
    authProtocol?: string;
    authKey?: string;
    privProtocol?: string;
    privKey?: string;
  }

  export interface SessionOptions {
    port?: number;
    retries?: number;
    timeout?: number;
    version?: number;
    context?: string;
    dgramModule?: DgramModule;
    backwardsGetNexts?: boolean;
    reportOidMismatchErrors?: boolean;
  }

  type Answered<Value> = (error: Error | null, varbinds?: Value) => void;

  export class Session extends EventEmitter {
    community: string;
    get(oids: string[], answered: Answered<Varbind[]>): void;
    getNext(oids: string[], answered: Answered<Varbind[]>): void;
    getBulk(
      oids: string[],
      nonRepeaters: number,
      maxRepetitions: number,
      answered: Answered<Varbind[][]>,
    ): void;
    set(varbinds: Varbind[], answered: Answered<Varbind[]>): void;
    cancelRequests(error: Error): void;
    close(): void;
  }

  export interface NotificationPdu {
    type: number;
    id?: number;
    varbinds: Varbind[];
    enterprise?: string;
    agentAddr?: string;
    generic?: number;
    specific?: number;
    upTime?: number;
    community?: string;
    user?: string;
  }

  export interface Receiver {
    getAuthorizer(): { addCommunity(community: string): void; addUser(user: SnmpUser): void };
    close(): void;
  }

  const snmp: {
    createSession(target: string, community: string, options: SessionOptions): Session;
    createV3Session(target: string, user: SnmpUser, options: SessionOptions): Session;
    createReceiver(
      options: { port: number; address: string; dgramModule: DgramModule; includeAuthentication: boolean },
      heard: (error: Error | null, notification?: { pdu: NotificationPdu }) => void,
    ): Receiver;
    Version1: number;
    Version2c: number;
    SecurityLevel: Record<string, number>;
    AuthProtocols: Record<string, string>;
    PrivProtocols: Record<string, string>;
    ErrorStatus: Record<number, string>;
    ObjectType: Record<string, number>;
    PduType: Record<string, number>;
    ResponseInvalidCode: Record<string, number>;
    Authentication: { authToKeyCache: Record<string, Buffer> };
  };
  export default snmp;
}
