// Bare RSA-2048 signatures of about as much data as a header has, for so many milliseconds: on the thread pool, as many
// under way as keep it busy, or one after another on the main thread. Arguments: `pool` or `main`, and milliseconds.
// Answers the count of signatures a second, when it is told to begin.

import { generateKeyPairSync, sign } from "node:crypto";

const DATA = Buffer.alloc(1024, "header");
const UNDER_WAY = 64;
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const [how, msText] = process.argv.slice(2);
const ms = Number(msText);

process.send!("ready");
process.on("message", () => {
  const startedAt = performance.now();
  const tell = (count: number): void => void process.send!((count * 1000) / (performance.now() - startedAt));
  if (how === "pool") void signOnPool(startedAt + ms).then(tell);
  else tell(signHere(startedAt + ms));
});

function signOnPool(endsAt: number): Promise<number> {
  return new Promise((resolve) => {
    let count = 0;
    let underWay = 0;
    const next = (): void => {
      if (performance.now() >= endsAt) {
        if (underWay === 0) resolve(count);
        return;
      }
      underWay++;
      sign("sha256", DATA, privateKey, () => {
        underWay--;
        count++;
        next();
      });
    };
    for (let n = 0; n < UNDER_WAY; n++) next();
  });
}

function signHere(endsAt: number): number {
  let count = 0;
  for (; performance.now() < endsAt; count++) sign("sha256", DATA, privateKey);
  return count;
}
