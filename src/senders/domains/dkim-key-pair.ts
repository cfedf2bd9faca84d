// Pairs of keys that sign mail: made here, or read from a file that somebody else made. The public half is what goes into
// the DNS record: of RSA the SubjectPublicKeyInfo, of Ed25519 the bare 32 octets (RFC 8463 §4). Pure but for its chance.

import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";

export type DkimAlgorithm = "rsa" | "ed25519";

export interface DkimKeyPair {
  readonly algorithm: DkimAlgorithm;
  readonly privateKey: KeyObject;
  /** Base64, as after `p=`. */
  readonly publicKey: string;
}

/** RFC 8301 §3.2: 1,024 must verify, 2,048 should be used. 4,096 fits no UDP answer, and signs 230 times a second on a core instead of 3,700. */
const RSA_BITS = 2048;
/** Gmail and others take shorter ones for broken. */
const RSA_BITS_MIN = 1024;

const generate = promisify(generateKeyPair);

/** RSA for everybody, Ed25519 for those who can: a verifier that knows one of them is content. */
export async function makeKeyPairs(): Promise<readonly DkimKeyPair[]> {
  const [rsa, ed25519] = await Promise.all([generate("rsa", { modulusLength: RSA_BITS }), generate("ed25519")]);
  return [pairOf("ed25519", ed25519.privateKey), pairOf("rsa", rsa.privateKey)];
}

/** Throws a sentence when it is no key that can sign mail. */
export function readKeyPair(material: { readonly pem: string } | { readonly pkcs8: Buffer }): DkimKeyPair {
  const privateKey =
    "pem" in material
      ? createPrivateKey(material.pem)
      : createPrivateKey({ key: material.pkcs8, format: "der", type: "pkcs8" });
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = privateKey;
  if (type !== "rsa" && type !== "ed25519") throw new Error(`a key of type ${type}: RSA and Ed25519 can sign mail`);
  const bits = details?.modulusLength ?? RSA_BITS_MIN;
  if (bits < RSA_BITS_MIN) throw new Error(`an RSA key of ${bits} bits: nobody trusts fewer than ${RSA_BITS_MIN}`);
  return pairOf(type, privateKey);
}

export function printPrivateKey(privateKey: KeyObject): Buffer {
  return privateKey.export({ format: "der", type: "pkcs8" });
}

function pairOf(algorithm: DkimAlgorithm, privateKey: KeyObject): DkimKeyPair {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const published = algorithm === "rsa" ? spki : spki.subarray(-ED25519_OCTETS);
  return { algorithm, privateKey, publicKey: published.toString("base64") };
}

const ED25519_OCTETS = 32;
