import * as tls from 'node:tls';

import { machineCertificates } from '@litestream/core';

let done = false;

/**
 * Makes every connection of this process trust the machine's certificates, those of libraries included. For a command only: an
 * application that embeds the library decides for itself. Node before 22.19 cannot; there each client does it for itself.
 */
export function trustMachine(): void {
  if (done) return;
  done = true;
  const added = machineCertificates();
  // By the namespace: an import by name fails where Node has no such function (before 22.19).
  if (added.length === 0 || typeof tls.setDefaultCACertificates !== 'function') return;
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...added]);
}
