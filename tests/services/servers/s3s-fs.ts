/** s3s-fs: S3 over a folder, in Rust. Checks signatures, and conditions only while nobody else writes. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { cargoTool } from '../install.ts';
import { startOverFolder } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const s3sFs: Service = { backend: 's3', name: 's3s-fs', start };

export default s3sFs;

const UNCONDITIONAL = 'it deletes whatever the condition';
const UNLOCKED = 'it looks at the condition, then writes, and another may be between';
const RACES = [
  'of several that create a file at once exactly one wins',
  'of two that create an object of several parts at once exactly one wins',
  'of eight that create an object at once exactly one wins',
  'of eight that replace a version at once exactly one wins',
];
const BUCKETS = 'what is stored in a bucket that is not there makes the bucket';

function untyped(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, 'it names no type where none was given']));
}

function forgotten(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, 'it says AccessDenied of uploads it does not know']));
}

export async function start(): Promise<RunningService> {
  return await startOverFolder(
    {
      name: 's3s-fs',
      program: cargoTool('s3s-fs', '0.14.1', 'binary'),
      args: (port, folder, config) => [
        '--host=127.0.0.1',
        `--port=${port}`,
        `--access-key=${config['access-key-id']}`,
        `--secret-key=${config['secret-access-key']}`,
        folder,
      ],
      env: () => ({ RUST_LOG: 'error' }),
      prepare: async (folder, config) => mkdir(join(folder, config.bucket)),
      bucketIsFolder: true,
    },
    {
      fileCount: 1100,
      deviations: {
        'put, open and list name the same version': 'its listings name no ETag',
        'delete with ifMatch deletes the version named, and no other': UNCONDITIONAL,
        'a lease is acquired, renewed, released, and taken over when it has expired': 'as above, on release',
        'a missing bucket rejects with BUCKET_MISSING': BUCKETS,
        ...Object.fromEntries(RACES.map((name) => [name, UNLOCKED])),
      },
      races: RACES,
      answersDiffer: {
        'replaced under If-Match, where there is none': 'it says 412; AWS says 404',
        'read under a wrong If-Match': 'it reads whatever the condition',
        'deleted under a wrong If-Match': UNCONDITIONAL,
        'read after that': UNCONDITIONAL,
        'deleted under If-Match, where there is none': UNCONDITIONAL,
        ...untyped('read under the right If-Match', 'an object beside it'),
        'a batch without a digest': 'it asks for none',
        'a batch with a wrong digest': 'it does not look at it',
        'a body that is not the hash it names': 'it breaks down with status 500',
        'an upload is completed with a part of another ETag': 'it does not look at the ETags of parts',
        ...forgotten('a part of an upload that is complete', 'a part of an upload that was aborted'),
        'an upload is aborted': 'it has forgotten an upload that could not be completed, and says AccessDenied',
        'an object of a missing bucket is read': BUCKETS,
        'an object of a missing bucket is stored': BUCKETS,
        'a missing bucket is listed': BUCKETS,
        'the head of a missing bucket': BUCKETS,
        'an unknown key': 'it says NotSignedUp, AWS says InvalidAccessKeyId',
        'another region': 'it takes any region',
      },
    },
  );
}
