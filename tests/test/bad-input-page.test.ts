/**
 * Every backend in every condition of `bad-input/`: each error has a code, a hint and no secret, and is the one that
 * docs/reports/storage-errors.md shows. `vitest run test/bad-input-page.test.ts -u` writes the page anew.
 */
import { join } from 'node:path';
import { inspect } from 'node:util';

import { isLitestreamError } from '@litestream/core';
import { describe, expect, test } from 'vitest';

import { openAbs } from '../bad-input/abs.ts';
import type { Attempt, BadPlace } from '../bad-input/conditions.ts';
import { openGcs } from '../bad-input/gcs.ts';
import { openNats } from '../bad-input/nats.ts';
import { openOss } from '../bad-input/oss.ts';
import { type Said, pagePath, renderPage, resultsFolder } from '../bad-input/page.ts';
import { SECRET } from '../bad-input/replica.ts';
import { openS3 } from '../bad-input/s3.ts';
import { openSftp } from '../bad-input/sftp.ts';
import { openWebdav } from '../bad-input/webdav.ts';
import { hasOpenssl } from '../nats/certificates.ts';
import { findNatsServer } from '../nats/server.ts';

const found = findNatsServer();
const withNats = 'program' in found && hasOpenssl();

describe('what is wrong is named, on', () => {
  test.each<[string, () => Promise<BadPlace>]>([
    ['abs', openAbs],
    ['gcs', openGcs],
    ['oss', openOss],
    ['s3', openS3],
    ['sftp', openSftp],
    ['webdav', openWebdav],
  ])('%s', async (backend, open) => {
    await expect(await tableOf(backend, open)).toMatchFileSnapshot(join(resultsFolder, `${backend}.json`));
  });

  test.skipIf(!withNats)('nats', async () => {
    const text = await tableOf('nats', () => openNats('program' in found ? found.program : ''));
    await expect(text).toMatchFileSnapshot(join(resultsFolder, 'nats.json'));
  });
});

test('the page shows it', async () => {
  await expect(renderPage()).toMatchFileSnapshot(pagePath);
});

async function tableOf(backend: string, open: () => Promise<BadPlace>): Promise<string> {
  const rows: [string, Said][] = [];
  await using place = await open();
  for (const [condition, attempt] of Object.entries(place.attempts)) {
    place.mend?.();
    rows.push([condition, await saidOf(`${backend}, ${condition}`, attempt)]);
  }
  return `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`;
}

async function saidOf(what: string, attempt: Attempt): Promise<Said> {
  if (typeof attempt === 'string') return { none: attempt };
  const error = await attempt();
  if (!isLitestreamError(error)) throw new Error(`${what}: no error of ours`, { cause: error });
  expect(inspect(error, { depth: Infinity, showHidden: true }), what).not.toContain(SECRET);
  const { code, retryable, hint } = error;
  // Passing faults need no next step; everything else does.
  if (code !== 'THROTTLED') expect(hint, `${what} (${code}) names no next step: ${error.message}`).toMatch(/\w/);
  return { code, retried: retryable, hint: general(hint ?? 'Nothing, if it passes.') };
}

/** A hint without what differs from run to run. */
function general(hint: string): string {
  return hint.replaceAll(/AAAA[A-Za-z0-9+/=]+/g, 'AAAA…').replaceAll(/127\.0\.0\.1:\d+/g, 'HOST');
}
