/** What a client of the control socket cannot do: take credentials, read memory, or keep the process busy. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { decodeBody } from '../src/control/decode.ts';
import { scratchFolder, start, until } from './support/cli.ts';
import { createDatabase } from './support/database.ts';
import { httpServer } from '../../../tests/support/http-server.ts';

const SECRET = 'canary-of-the-environment';
const ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
  AWS_SECRET_ACCESS_KEY: SECRET,
  LITESTREAM_AZURE_SAS_TOKEN: `sv=1&sig=${SECRET}`,
};

async function daemon(extra = '', more: readonly string[] = []): Promise<{ folder: string; socket: string }> {
  const folder = scratchFolder();
  const socket = join(folder, 's.sock');
  const config = join(folder, 'litestream.yml');
  createDatabase(join(folder, 'app.db'));
  writeFileSync(
    config,
    `socket: {enabled: true, path: ${socket}${extra}}
shutdown-sync-timeout: 0s
dbs:
  - {path: ${folder}/app.db, replica: {path: ${folder}/replica}}
${more.map((replica, index) => `  - {path: ${folder}/more-${index}.db, replica: ${replica}}\n`).join('')}`,
  );
  const started = start(['replicate', '-config', config], { env: ENVIRONMENT });
  await started.said('control socket listening');
  return { folder, socket };
}

function ask(socketPath: string, path: string, body?: string): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const outgoing = request(
    { socketPath, path, method: body === undefined ? 'GET' : 'POST', agent: false },
    (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
    },
  );
  outgoing.once('error', reject).end(body);
  return promise;
}

describe('register', () => {
  test('brings credentials of the environment to no endpoint of its own choosing', async () => {
    const asked: string[] = [];
    const server = httpServer((incoming, response) => {
      asked.push(`${incoming.url} ${incoming.headers.authorization}`);
      response.writeHead(403).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => server.closeAllConnections());
    onTestFinished(() => void server.close());
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const at = await daemon();
    for (const [index, url] of [
      `s3://bucket/app?endpoint=http://${host}&region=r`,
      `s3://bucket.${host}/app`,
      `s3://bucket/app?endpoint=https://${host}&region=r&accessKeyId=own`,
      `abs://account@container/app?endpoint=http://${host}`,
      // Clients look up keys without regard to case, hyphens and underscores.
      `s3://bucket/app?Endpoint=https://${host}&region=r`,
      `abs://account@container/app?end-point=https://${host}`,
      `gs://bucket/app?END_POINT=https://${host}`,
      // Credentials of another backend, and those that give way to the environment.
      `s3://bucket/app?endpoint=https://${host}&region=r&sas-token=own`,
      `gs://bucket/app?endpoint=https://${host}&access-key-id=own&secret-access-key=own`,
      `abs://account@container/app?endpoint=https://${host}&account-key=b3du`,
    ].entries()) {
      const path = join(at.folder, `new-${index}.db`);
      createDatabase(path);
      const answer = await ask(at.socket, '/register', JSON.stringify({ path, replica_url: url }));
      expect(answer, url).toMatchObject({ status: 400, body: expect.stringMatching(/socket\.endpoints/) });
    }
    const own = join(at.folder, 'own.db');
    createDatabase(own);
    const url = `s3://bucket/app?endpoint=http://${host}&region=r&accessKeyId=own&secretAccessKey=own-secret`;
    expect(await ask(at.socket, '/register', JSON.stringify({ path: own, replica_url: url }))).toMatchObject({
      status: 200,
    });
    await until(() => asked.length > 0, 'a request with credentials of its own');
    expect(asked.join('\n')).not.toMatch(/AKIAEXAMPLE|canary/);
  });

  test.each([
    'abs://evil.example%2F@container/app',
    'abs://container/app?account-name=evil.example/',
    'abs://container/app?account-name=evil.example:443%23',
    's3://bucket.evil\\.digitaloceanspaces.com/app',
    's3://bucket.br-a.storage.evil\\.region.c.neon.tech/app',
  ])('refuses a name that looks like one of a provider and leads to another server: %s', async (url) => {
    const at = await daemon();
    const path = join(at.folder, 'new.db');
    createDatabase(path);
    const answer = await ask(at.socket, '/register', JSON.stringify({ path, replica_url: url }));
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(/invalid replica url/) });
  });

  test('an endpoint that the config names needs no more', async () => {
    const at = await daemon(', endpoints: ["http://127.0.0.1:9"]', [
      `{type: s3, bucket: b, path: p, region: r, endpoint: 'http://127.0.0.1:10'}`,
    ]);
    for (const port of [9, 10]) {
      const path = join(at.folder, `new-${port}.db`);
      createDatabase(path);
      const url = `s3://bucket/app?endpoint=http://127.0.0.1:${port}&region=r`;
      expect(await ask(at.socket, '/register', JSON.stringify({ path, replica_url: url }))).toMatchObject({
        status: 200,
      });
    }
  });
});

test('the heap is handed out only where the config says so', async () => {
  const closed = await daemon();
  const refused = await ask(closed.socket, '/debug/pprof/heap');
  expect(refused).toMatchObject({ status: 403, body: expect.stringMatching(/heap-snapshots: true/) });
  const allocations = await ask(closed.socket, '/debug/pprof/allocs?seconds=0.2');
  expect(allocations).toMatchObject({ status: 200 });
  expect(allocations.body).not.toContain(SECRET);
  const open = await daemon(', heap-snapshots: true');
  const heap = JSON.parse((await ask(open.socket, '/debug/pprof/heap')).body) as { snapshot: { node_count: number } };
  expect(heap.snapshot.node_count).toBeGreaterThan(10_000);
});

describe('a body', () => {
  const type = { name: 'Request', fields: { path: 'string' } } as const;
  const work = (body: string): number => {
    const parse = vi.spyOn(JSON, 'parse');
    try {
      expect(() => decodeBody(body, type)).toThrow(/EOF|JSON/);
      return parse.mock.calls.reduce((sum, [text]) => sum + text.length, 0);
    } finally {
      parse.mockRestore();
    }
  };

  test.each([
    ['braces in a string', (size: number) => `{"${'}'.repeat(size)}`],
    ['objects that do not end', (size: number) => `{"a":${'{}'.repeat(size)}`],
    ['escaped quotes', (size: number) => `{"${'\\"}'.repeat(size)}`],
  ])('is read in proportion to its size: %s', (_, body) => {
    // Characters that the parser is given, twice the body at most.
    expect(work(body(500))).toBeLessThanOrEqual(2 * body(500).length);
    expect(work(body(2000))).toBeLessThanOrEqual(2 * body(2000).length);
  });

  test('may be followed by others, as in Go', () => {
    expect(decodeBody('{"path":"a}\\"}"} {"path":"b"} }', type)).toEqual({ path: 'a}"}' });
    expect(() => decodeBody('{"path":nope} x', type)).toThrow('invalid character in JSON');
    expect(() => decodeBody('{"path":"a', type)).toThrow('unexpected EOF');
  });

  test('of more than a megabyte is refused', async () => {
    const at = await daemon();
    const answer = await ask(at.socket, '/start', `{"path":"${'x'.repeat(1 << 20)}"}`);
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(/too large/) });
  });
});
