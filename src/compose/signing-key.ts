// What a DKIM signature is made with: a key of a domain under a selector. Plain values and a key object; where they come
// from, and for how long, is not known here.

import type { KeyObject } from "node:crypto";

export interface SigningKey {
  /** The d= tag: as A-labels, lower case. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: "rsa" | "ed25519";
  readonly privateKey: KeyObject;
}

export interface SigningKeys {
  /**
   * The keys that sign mail from this domain now, Ed25519 before RSA: its own or, when it has none, those of the nearest
   * domain above it. Empty: mail from there is not signed. From memory, at once.
   */
  keysFor(fromDomain: string): readonly SigningKey[];
}
