import assert from "node:assert/strict";
import { test } from "node:test";
import { arrivalOfMessageId } from "./exim-gauge.ts";
import { parseHeaderFile } from "./header-file.ts";

// As Exim 4.96 wrote it.
const FRESH = `1xWdDB-0001Y3-0O-H
Debian-exim 999 995
<b+x@returns.test>
1795713885 0
-received_time_usec .123771
--helo_name vm
-deliver_firsttime
-tls_resumption A
XX
1
u@dead.test

185P Received: from [127.0.0.1] (helo=vm)
`;

test("a message that was never tried is told from one that was, and from a frozen one", () => {
  const fresh = { wasTried: false, isFrozen: false, arrivedAtMs: 1_795_713_885_000, recipients: ["u@dead.test"] };
  assert.deepEqual(parseHeaderFile(FRESH), fresh);
  assert.deepEqual(parseHeaderFile(FRESH.replace("-deliver_firsttime\n", "")), { ...fresh, wasTried: true });
  assert.deepEqual(parseHeaderFile(FRESH.replace("-tls", "-frozen 1795713999\n-tls")), { ...fresh, isFrozen: true });
});

test("recipients who have it are left out", () => {
  const some = FRESH.replace(
    "XX\n1\nu@dead.test",
    "YN b@one.test\nNN a@one.test\n3\na@one.test\nb@one.test\nc@two.test",
  );
  assert.deepEqual(parseHeaderFile(some)?.recipients, ["c@two.test"]);
});

test("what is no header file gives nothing", () => {
  for (const text of ["", "x\n", FRESH.slice(0, 40), FRESH.replace("1795713885", "now"), "\0\n\n\n1795713885 0\n"]) {
    assert.equal(parseHeaderFile(text), undefined);
  }
});

test("a message id tells when the message came", () => {
  assert.equal(arrivalOfMessageId("1xWdDB-0001Y3-0O-H"), 1_795_713_885_000);
  assert.equal(arrivalOfMessageId("1xWdDB-000000008kf-1B7E-H"), 1_795_713_885_000);
  assert.equal(arrivalOfMessageId("hdr.1234"), undefined);
});
