import * as tls from 'node:tls';

import { machineCertificates } from '@litestream/core';

let done = false;

/**
 * Makes every connection of this process trust the machine's certificates, also connections of libraries. For a command only:
 * an application that embeds the library decides for itself. Node before 22.19 cannot do this; there each client does it itself.
 */
export function trustMachine(): void {
  if (done) return;
  done = true;
  const added = machineCertificates();
  // Used through the namespace: an import by name fails if Node does not have the function (before 22.19).
  if (added.length === 0 || typeof tls.setDefaultCACertificates !== 'function') return;
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...added]);
}
