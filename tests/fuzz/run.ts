/**
 * Hostile answers to the clients: each call must end with a result or a `LitestreamError`, and no error may reach the
 * process. Between them, damaged local files (`local-files.ts`). `npm run fuzz`, `npm run fuzz -- --seconds 600 --seed 7 gs s3`,
 * `npm run fuzz -- local`.
 */
import { parseArgs } from 'node:util';
import { PluginRegistry, isLitestreamError } from '@litestream/core';
import type { ReplicaClient } from '@litestream/core';
import { HTTP_TARGETS, SOCKET_TARGETS } from './backends.ts';
import type { Target } from './backends.ts';
import { HostileServer } from './hostile-server.ts';
import { HostileSocket } from './hostile-socket.ts';
import { damageLocalFiles } from './local-files.ts';
import { Random } from './random.ts';

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const seed = Number(values.seed ?? process.env['SEED'] ?? Date.now() % 1_000_000);
const untilMs = Date.now() + Number(values.seconds) * 1000;
const targets = Object.entries({ ...HTTP_TARGETS, ...SOCKET_TARGETS }).filter(
  ([name]) => positionals.length === 0 || positionals.includes(name),
);
const isLocal = positionals.length === 0 || positionals.includes('local');
const names = [...targets.map(([name]) => name), ...(isLocal ? ['local'] : [])];
console.log(`fuzz: seed ${seed}, ${values.seconds} s, ${names.join(' ')}`);

let now = '';
const failures: string[] = [];
function fail(what: string, error: unknown): void {
  failures.push(`${what} at ${now}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}
process.on('uncaughtException', (error) => fail('an uncaught exception', error));
process.on('unhandledRejection', (error) => fail('an unhandled rejection', error));

const FILE = { level: 0, minTxid: 1n, maxTxid: 1n };
const BODY = Buffer.from('not an LTX file, but nobody looks');

/** Everything that core asks of a client. */
const CALLS: readonly (readonly [string, (client: ReplicaClient) => Promise<unknown>])[] = [
  ['ltxFiles', (client) => Array.fromAsync(client.ltxFiles(0, {}))],
  ['ltxFiles with times', (client) => Array.fromAsync(client.ltxFiles(0, { useMetadata: true, seek: 1n }))],
  ['allLtxFiles', (client) => Array.fromAsync(client.allLtxFiles?.({}) ?? [])],
  ['openLtxFile', async (client) => await Array.fromAsync(await client.openLtxFile(FILE, { offset: 2, size: 4 }))],
  [
    'writeLtxFile',
    (client) => client.writeLtxFile({ ...FILE, timestamp: new Date(0) }, { size: BODY.length, open: () => once() }),
  ],
  ['deleteLtxFiles', (client) => client.deleteLtxFiles([FILE])],
  ['deleteAll', (client) => client.deleteAll()],
  ['objects.list', async (client) => await Array.fromAsync(client.objects?.list('') ?? [])],
  ['objects.open', async (client) => await Array.fromAsync((await client.objects?.open('lock.json'))?.body ?? [])],
  ['objects.put', async (client) => await client.objects?.put('lock.json', BODY, { ifNoneMatch: '*' })],
  ['objects.delete', async (client) => await client.objects?.delete('lock.json', { ifMatch: '"x"' })],
];

async function* once(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(BODY);
}

async function attack(name: string, target: Target, port: number, random: Random): Promise<void> {
  const registry = new PluginRegistry({ plugins: [target.plugin], discover: false });
  const guard = { retry: { attemptCountMax: 1 }, timeoutsMs: LIMITS };
  const spec = { type: name, settings: target.settings(port) };
  now = `${name} createClient`;
  const client = await registry.createClient(spec, { env: {} }, guard);
  try {
    for (let round = 0; round < 4; round += 1) {
      const [call, make] = random.of(CALLS);
      now = `${name} ${call}`;
      try {
        await make(client);
      } catch (error) {
        if (!isLitestreamError(error)) fail('no LitestreamError', error);
      }
      calls += 1;
    }
  } finally {
    now = `${name} dispose after ${now}`;
    await client[Symbol.asyncDispose]();
  }
}

/** Short, since one of the attacks is a server that stops answering. */
const LIMITS = Object.fromEntries(
  ['init', 'ltxFiles', 'openLtxFile', 'writeLtxFile', 'deleteLtxFiles', 'deleteAll', 'body']
    .concat(['objects.list', 'objects.open', 'objects.put', 'objects.delete'])
    .map((name) => [name, 400]),
);

async function attackLocalFiles(ownSeed: number): Promise<void> {
  now = `local files, seed ${ownSeed}`;
  rounds += 1;
  try {
    const { result } = await damageLocalFiles(new Random(ownSeed));
    damaged[result] += 1;
  } catch (error) {
    fail('damaged local files', error);
  }
}

let calls = 0;
let rounds = 0;
const damaged = { replicated: 0, refused: 0 };
/** A call that ignores its limit would block the run for ever. */
const watchdog = setInterval(() => {
  if (Date.now() < untilMs + 60_000) return;
  console.error(`fuzz: seed ${seed}: a call does not end: ${now}`);
  process.exit(1);
}, 1000);
const rssBefore = process.memoryUsage().rss;
while (Date.now() < untilMs && failures.length === 0) {
  if (isLocal) await attackLocalFiles(seed + rounds);
  for (const [name, target] of targets) {
    const random = new Random(seed + rounds);
    rounds += 1;
    await using server = await (Object.hasOwn(HTTP_TARGETS, name) ? HostileServer : HostileSocket).start(random);
    await attack(name, target, server.port, random).catch((error: unknown) => fail('no call of an operation', error));
    now = `${name} end`;
    if (failures.length > 0 && server instanceof HostileServer) console.error(`the last answer: ${server.last}`);
    if (failures.length > 0 || Date.now() >= untilMs) break;
  }
}
clearInterval(watchdog);
const grownMb = Math.round((process.memoryUsage().rss - rssBefore) / 2 ** 20);
const local = damaged.replicated + damaged.refused;
console.log(
  `fuzz: ${calls} calls against ${rounds - local} servers, ${local} damaged local files (${damaged.refused} refused), ${failures.length} failures, memory +${grownMb} MB`,
);
for (const failure of failures) console.error(failure);
const isIdle = (targets.length > 0 && calls === 0) || (isLocal && local === 0);
if (isIdle) console.error('fuzz: nothing was done');
process.exit(failures.length === 0 && !isIdle ? 0 : 1);
