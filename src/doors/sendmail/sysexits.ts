// Exit codes of sysexits.h, as far as the sendmail command uses them: what programs that call sendmail go by.

export const EX_OK = 0;
/** Called wrongly. */
export const EX_USAGE = 64;
/** The mail itself cannot be sent as it is. */
export const EX_DATAERR = 65;
/** A recipient cannot be. */
export const EX_NOUSER = 67;
/** Refused for good. */
export const EX_UNAVAILABLE = 69;
/** Neither taken nor kept: the caller still has it, and may try again. */
export const EX_TEMPFAIL = 75;
/** Refused because of who sends. */
export const EX_NOPERM = 77;
export const EX_CONFIG = 78;
