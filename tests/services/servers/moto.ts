/** moto: S3 in memory. Honours conditions, ranges and paging; checks no signature. */
import { pipTool } from '../install.ts';
import { freePort, startServer } from '../process.ts';
import { brokenPlaces, createBucket, s3Config } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const moto: Service = { backend: 's3', name: 'moto', start };

export default moto;

const RACE = 'of two that create an object of several parts at once exactly one wins';
const BREAKS = 'it breaks down with status 500';

function unchecked(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, 'it checks no signature']));
}

function undigested(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, 'it checks no digest of a body']));
}

export async function start(): Promise<RunningService> {
  const program = pipTool('moto', ['moto[server,s3]>=5.2'], 'moto_server');
  const port = await freePort();
  const server = await startServer(program, ['-H', '127.0.0.1', '-p', String(port)], { port });
  const config = s3Config(`http://127.0.0.1:${port}`, 'litestream');
  await createBucket(config);
  return {
    config,
    broken: brokenPlaces,
    deviations: { [RACE]: 'it looks at the condition, then puts the parts together, and another may be between' },
    races: [RACE],
    answersDiffer: {
      ...unchecked('an unknown key', 'a wrong secret', 'another region', 'a clock an hour late'),
      'no signature': 'it refuses, but names no code',
      ...undigested(
        'a batch without a digest',
        'a batch with a wrong digest',
        'a body that is not the digest it names',
      ),
      ...undigested('a body that is not the hash it names'),
      'a batch that is no XML': BREAKS,
      'a part of an upload that is complete': BREAKS,
      'a part of an upload that was aborted': BREAKS,
    },
    inMemory: true,
    fileCount: 1100,
    stop: () => server.stop(),
  };
}
