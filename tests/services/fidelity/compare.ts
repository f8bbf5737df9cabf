/** Asks a real server and the test server of `npm test` the same, and compares what they say. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

import { GcsTestServer } from '../../../packages/client-gcs/test/gcs-server.ts';
import { S3TestServer } from '../../../packages/client-s3/test/s3-server.ts';
import { askSftp } from '../../../packages/client-sftp/test/sftp-questions.ts';
import { SftpTestServer } from '../../../packages/client-sftp/test/sftp-server.ts';
import { WebdavTestServer } from '../../../packages/client-webdav/test/webdav-server.ts';
import type { RunningService } from '../service.ts';
import { askGcs } from './gcs-questions.ts';
import { askS3 } from './s3-questions.ts';
import type { Transcript } from './transcript.ts';
import { askWebdav } from './webdav-questions.ts';

export interface FidelityResult {
  /** Answers that are the same, in everything a client goes by. */
  readonly same: number;
  /** Answers that differ, each declared with the reason. */
  readonly different: number;
}

/** Compares the answers; `undefined` for a backend that has no server of ours. Rejects if an undeclared one differs. */
export async function compareAnswers(running: RunningService): Promise<FidelityResult | undefined> {
  const transcripts = await askBoth(running);
  if (transcripts === undefined) return undefined;
  const [real, ours] = transcripts;
  assert.deepEqual([...ours.answers.keys()], [...real.answers.keys()], 'not the same was asked');
  const declared = running.answersDiffer ?? {};
  const different = [...real.answers].filter(([name, facts]) => !isDeepStrictEqual(facts, ours.answers.get(name)));
  const problems = [
    ...different
      .filter(([name]) => declared[name] === undefined)
      .map(([name, facts]) => `${name}:\n  it:   ${told(facts)}\n  ours: ${told(ours.answers.get(name))}`),
    ...Object.keys(declared)
      .filter((name) => !different.some(([other]) => other === name))
      .map((name) => `${name}: declared as different, but is not`),
  ];
  if (problems.length > 0) throw new Error(`the test server answers otherwise\n${problems.join('\n')}`);
  return { same: real.answers.size - different.length, different: different.length };
}

async function askBoth({ config, env, login }: RunningService): Promise<readonly [Transcript, Transcript] | undefined> {
  const bucket = String(config['bucket']);
  if (config.type === 's3') {
    await using ours = await S3TestServer.start();
    const real = {
      endpoint: String(config['endpoint']),
      accessKeyId: String(config['access-key-id']),
      secretAccessKey: String(config['secret-access-key']),
      region: String(config['region']),
    };
    const { endpoint, accessKeyId, secretAccessKey, region } = ours;
    return [await askS3(real, bucket), await askS3({ endpoint, accessKeyId, secretAccessKey, region }, 'litestream')];
  }
  if (config.type === 'gs') {
    await using ours = await GcsTestServer.start();
    return [
      await askGcs(`http://${env?.['STORAGE_EMULATOR_HOST']}`, bucket),
      await askGcs(ours.endpoint, 'litestream'),
    ];
  }
  if (config.type === 'webdav' && login !== 'digest') {
    await using ours = await WebdavTestServer.start();
    const real = {
      url: String(config['webdav-url']),
      username: String(config['webdav-username']),
      password: String(config['webdav-password']),
    };
    return [await askWebdav(real), await askWebdav(ours)];
  }
  if (config.type === 'sftp') {
    await using ours = await SftpTestServer.start();
    const real = {
      host: String(config['host']),
      user: String(config['user']),
      keyPath: String(config['key-path']),
      folder: '.',
    };
    const { host, user, keyPath, data: folder } = ours;
    return [await askSftp(real), await askSftp({ host, user, keyPath, folder })];
  }
  return undefined;
}

function told(facts: unknown): string {
  return JSON.stringify(facts);
}
