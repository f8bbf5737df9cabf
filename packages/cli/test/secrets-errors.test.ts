/**
 * Every key that can hold a secret or a URL × every backend: errors of a replica that refuses each request and quotes it,
 * on every surface that prints errors.
 */
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { PluginRegistry } from '@litestream/core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../src/config/load.ts';
import { replicaSettings } from '../src/config/schema/schema.ts';
import type { ReplicaConfig } from '../src/config/types.ts';
import { goJson } from '../src/control/go-json.ts';
import { describeError } from '../src/util/describe-error.ts';
import { databaseStatus } from '../src/http/status.ts';
import { createLogger } from '../src/log/logger.ts';
import { failure } from '../src/mcp/answer.ts';
import { isSecretKey } from '../src/util/secrets.ts';
import { REPLICAS, canary, expectNone } from './support/canaries.ts';
import { httpServer } from '../../../tests/support/http-server.ts';

/** Keys that may hold a URL, with credentials in it. */
const URL_KEYS = ['endpoint', 'webdav-url'];

/** What each backend needs besides, and the keys of its own that no schema of ours knows. */
const BACKENDS: Readonly<Record<string, string>> = {
  s3: 'bucket: b, region: r, session-token: $TOKEN',
  gs: 'bucket: b',
  abs: 'bucket: b, account-name: a, connection-string: $TOKEN',
  oss: 'bucket: bucket, region: r, session-token: $TOKEN',
  sftp: 'host: $HOST, user: u, key-passphrase: $TOKEN',
  webdav: 'webdav-username: u',
  nats: "server: 'nats://u:$TOKEN@$HOST', bucket: b, username: u",
};

/** Quotes the whole request in its answer, as the error page of a proxy may. */
async function echo(): Promise<string> {
  const server = httpServer((request, response) => {
    const sent = JSON.stringify({ url: request.url, headers: request.headers });
    response.writeHead(400, { 'content-type': 'application/json', 'x-ms-error-code': 'Bad' });
    response.end(JSON.stringify({ error: { code: 400, message: `${sent} ${decodeURIComponent(sent)}` } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function replicasOf(texts: readonly string[]): readonly ReplicaConfig[] {
  const list = texts.map((text, index) => `  - {path: /tmp/none-${index}.db, replica: ${text}}\n`).join('');
  const { config } = parseConfig(`dbs:\n${list}`, { file: '/tmp/none.yml', expandEnv: false });
  return config.databases.flatMap(({ replicas }) => replicas);
}

async function errorsOf({ type, url, path, settings }: ReplicaConfig): Promise<unknown[]> {
  const registry = new PluginRegistry({ folder: import.meta.dirname });
  const spec = { type, url, settings: { ...settings, ...(path === undefined ? {} : { path }) } };
  const env = { AWS_SECRET_ACCESS_KEY: canary('env-aws'), LITESTREAM_AZURE_SAS_TOKEN: `sig=${canary('env-sas')}` };
  try {
    await using client = await registry.createClient(spec, { env }, { retry: { attemptCountMax: 1 } });
    const ltx = { level: 0, minTxid: 1n, maxTxid: 1n };
    const settled = await Promise.allSettled([
      client.init(),
      Array.fromAsync(client.ltxFiles(0)),
      client.openLtxFile(ltx, {}),
    ]);
    return settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  } catch (error) {
    return [error];
  }
}

/** Each way in which an error becomes text. */
function texts(error: unknown): readonly (readonly [string, string])[] {
  const lines: string[] = [];
  for (const type of ['text', 'json', 'pretty'] as const) {
    const options = {
      level: 'trace',
      source: false,
      colour: false,
      write: (line: string) => void lines.push(line),
    } as const;
    createLogger({ ...options, type }).error('sync error', { error, detail: { error }, list: [error] });
  }
  const status = databaseStatus({
    path: '/a.db',
    state: 'replicating',
    txid: 1n,
    db: undefined,
    replicas: [],
    lastSyncAt: undefined,
    lastError: error,
  });
  return [
    ['log', lines.join('\n')],
    ['socket', goJson({ error: describeError(error) })],
    ['status page', JSON.stringify(status)],
    ['tool', JSON.stringify(failure(describeError(error), []))],
    ['library: inspect', inspect(error, { depth: 20, showHidden: true })],
    ['library: stack', String((error as Error).stack)],
    ['library: JSON', JSON.stringify(error)],
  ];
}

const SECRET_KEYS = [...Object.keys(replicaSettings).filter(isSecretKey), 'session-token', 'key-passphrase'];

describe('errors of a replica hold no secret on any surface', () => {
  test.each(Object.keys(BACKENDS))('%s', async (type) => {
    const host = await echo();
    const base = (BACKENDS[type] ?? '').replaceAll('$TOKEN', canary(`${type}-own`)).replaceAll('$HOST', host);
    const secrets = SECRET_KEYS.filter((key) => !base.includes(`${key}:`)).map((key) => `${key}: ${canary(key)}`);
    const address = (key: string): string =>
      `${key}: 'http://u:${canary(`${key}-userinfo`)}@${host}/x?token=${canary(`${key}-token`)}&sig=${canary(`${key}-sig`)}'`;
    const variants = [
      // All secrets at once, and each URL with and without them.
      `{type: ${type}, path: p, ${[base, ...secrets, ...URL_KEYS.map(address)].join(', ')}}`,
      `{type: ${type}, path: p, ${[base, ...URL_KEYS.map(address)].join(', ')}}`,
      `{type: ${type}, path: p, ${[base, ...secrets, ...URL_KEYS.map((key) => `${key}: 'http://${host}'`)].join(', ')}}`,
    ];
    let count = 0;
    for (const replica of replicasOf([...variants, ...(REPLICAS[type] ?? [])])) {
      for (const error of await errorsOf(replica)) {
        count += 1;
        for (const [surface, text] of texts(error)) expectNone(`${type}: ${surface}`, text);
      }
    }
    expect(count).toBeGreaterThan(2);
  });
});
