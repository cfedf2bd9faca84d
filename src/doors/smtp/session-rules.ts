// Who may do what on which listener. Never an open relay: mail without a key is taken from this machine, and from the
// networks that `smtp.allow` names, on the plain listener alone; everybody else gives a key, and gives it over TLS. On
// this machine a key may come in the clear, since it crosses no wire, and STARTTLS is not offered: clients that take it
// whenever they see it would then refuse a certificate that is for the outside name. Pure.

import type { SmtpListenerConfig } from "../../platform/config.ts";
import type { SmtpReply } from "./smtp-reply.ts";

export type ListenerKind = SmtpListenerConfig["kind"];

export interface Standing {
  readonly listener: ListenerKind;
  readonly hasCertificate: boolean;
  readonly isLoopback: boolean;
  /** Of a network in `smtp.allow`. */
  readonly isAllowed: boolean;
  readonly isSecure: boolean;
}

export interface Offer {
  readonly offersTls: boolean;
  readonly offersAuth: boolean;
  readonly needsAuth: boolean;
}

export function offerTo({ listener, hasCertificate, isLoopback, isAllowed, isSecure }: Standing): Offer {
  if (listener !== "smtp") {
    return { offersTls: hasCertificate && !isSecure, offersAuth: isSecure, needsAuth: true };
  }
  return {
    offersTls: hasCertificate && !isSecure && !isLoopback,
    offersAuth: isSecure || isLoopback,
    needsAuth: !isLoopback && !isAllowed,
  };
}

/** Said to MAIL without a key where one is needed. */
export function replyWithoutAuth({ offersTls, offersAuth }: Offer): SmtpReply {
  if (offersAuth)
    return { code: 530, text: "5.7.0 authenticate first: the password is a key, the user name may be any" };
  if (offersTls) return { code: 530, text: "5.7.0 start TLS first, then authenticate" };
  return {
    code: 550,
    text: "5.7.1 without TLS only this machine's mail is taken: set tls and use port 587, or name the network in smtp.allow",
  };
}
