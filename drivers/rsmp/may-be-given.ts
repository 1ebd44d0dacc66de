/**
 * Commands that ask a controller for a mode, a plan or a traffic situation, and leave its phases to it (SXL for
 * traffic lights). Every other one has no address and is never sent, whatever profile and settings say.
 */
export const mayBeGiven: readonly string[] = ["M0001", "M0002", "M0003", "M0007"];

/** Functional positions (M0001) that may be asked for: "Dark" would leave a junction without any signal. */
export const mayBeAskedFor: readonly string[] = ["NormalControl", "YellowFlash"];
