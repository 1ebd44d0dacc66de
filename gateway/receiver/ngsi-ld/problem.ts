import { StoreError } from "../database.ts";

type Status = 400 | 404 | 405 | 406 | 422 | 403 | 503;

/** An error of NGSI-LD; `kind` is the last part of its type. Source: ETSI GS CIM 009, 6.3.2, RFC 7807. */
export class Problem extends Error {
  readonly kind: string;
  readonly status: Status;
  constructor(kind: string, status: Status, detail: string) {
    super(detail);
    this.name = "Problem";
    this.kind = kind;
    this.status = status;
  }
}

const titles: Record<string, string> = {
  BadRequestData: "The request is not right",
  InternalError: "The request cannot be answered now",
  OperationNotSupported: "This view does not do that",
  ResourceNotFound: "There is no such entity",
  TooManyResults: "The request looks through too much",
};

/** Any error as the problem that a client is told. */
export function problemOf(error: Error): { status: Status; body: string } {
  const told = error instanceof StoreError ? `${error.message}.` : error.message;
  const problem = error instanceof Problem ? error : new Problem("InternalError", 503, told);
  const { kind, status, message } = problem;
  const type = `https://uri.etsi.org/ngsi-ld/errors/${kind}`;
  return { status, body: JSON.stringify({ type, title: titles[kind] ?? kind, status, detail: message }) };
}
