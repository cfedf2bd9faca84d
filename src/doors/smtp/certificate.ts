// The certificate of the TLS listeners, as the files hold it now. They are looked at again and again, by what they point
// to: whoever renews a certificate swaps links or writes in place, and need tell nobody. A certificate that cannot be
// used is told once and changes nothing: the one before it stays in use.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  /** The chain, in PEM. */
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface CertificateWatch {
  current(): Certificate | undefined;
  /** Looks now. Never throws. */
  look(): Promise<void>;
  stop(): void;
}

export interface CertificatePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly onNew: (certificate: Certificate) => void;
  /** A line that a person should see. */
  readonly tell: (line: string) => void;
}

const LOOK_MS = 10_000;

export function watchCertificate(files: CertificateFiles, ports: CertificatePorts): CertificateWatch {
  const { clock, log, onNew, tell } = ports;
  let current: Certificate | undefined;
  let seen: string | undefined;
  let timer: Timer | undefined;
  let isStopped = false;

  const look = async (): Promise<void> => {
    const found = await readIfChanged(files, seen);
    seen = found.stamp;
    switch (found.kind) {
      case "unchanged":
        return;
      case "certificate":
        current = found.certificate;
        log.info("smtp.certificate_loaded", { file: files.certFile });
        return onNew(current);
      case "unusable": {
        log.error("smtp.certificate_unusable", { file: files.certFile, error: found.why });
        const consequence = current === undefined ? "no TLS is offered" : "the one before it stays in use";
        return tell(`smtp: the certificate in ${files.certFile} cannot be used (${found.why}): ${consequence}`);
      }
    }
  };
  const goOn = (): void => {
    if (!isStopped) timer = clock.after(LOOK_MS, () => void look().then(goOn));
  };
  goOn();
  return {
    current: () => current,
    look,
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}

type Found = { readonly stamp: string } & (
  | { readonly kind: "unchanged" }
  | { readonly kind: "certificate"; readonly certificate: Certificate }
  | { readonly kind: "unusable"; readonly why: string }
);

async function readIfChanged({ certFile, keyFile }: CertificateFiles, seen: string | undefined): Promise<Found> {
  let stamp = "";
  try {
    stamp = (await Promise.all([certFile, keyFile].map(stampOf))).join(" ");
    if (stamp === seen) return { kind: "unchanged", stamp };
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    checkPair(cert, key);
    return { kind: "certificate", stamp, certificate: { cert, key } };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // The same failure once, also when there is no file to look at.
    const failed = stamp === "" ? why : stamp;
    return failed === seen ? { kind: "unchanged", stamp: failed } : { kind: "unusable", stamp: failed, why };
  }
}

/** Throws unless both can be read and belong together: amid a renewal they may not. */
function checkPair(cert: Buffer, key: Buffer): void {
  createSecureContext({ cert, key });
  // A key of another kind than the certificate's passes that, and would then fail in every handshake.
  if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  throw new Error("certificate and key do not belong together");
}

/** Of what a link points to. */
async function stampOf(file: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(file);
  return `${ino}:${size}:${mtimeMs}`;
}
