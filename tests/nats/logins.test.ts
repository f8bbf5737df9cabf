/** Every way to log in to NATS, on a real server: with what is right, and with what is not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';

import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { credsAuthenticator, nkeyAuthenticator } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';

import { createBucket } from '../services/nats.ts';
import { hasOpenssl, makeCertificates } from './certificates.ts';
import { createNkey, createOperator } from './claims.ts';
import { type NatsServer, clientOf, findNatsServer, startNats } from './server.ts';

const found = findNatsServer();
const program = 'program' in found ? found.program : '';

/** Writes a file, and says how many are listed then. */
async function works(server: NatsServer, config: Record<string, unknown>): Promise<number> {
  await using client = await clientOf(server, config);
  await client.init();
  const body = {
    size: 3,
    open: async function* () {
      yield Buffer.from('abc');
    },
  };
  const file = { level: 0, minTxid: 1n, maxTxid: 1n };
  await client.writeLtxFile({ ...file, timestamp: new Date() }, body);
  return (await Array.fromAsync(client.ltxFiles(0))).length;
}

async function refused(server: NatsServer, config: Record<string, unknown>, code: string): Promise<unknown> {
  await using client = await clientOf(server, config);
  const error: unknown = await client.init().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code, retryable: false, hint: /./ });
  return error;
}

async function withBucket(server: NatsServer, login: NodeConnectionOptions = {}): Promise<NatsServer> {
  await createBucket({ servers: `127.0.0.1:${server.port}`, ...login }, 'app');
  return server;
}

describe.skipIf('missing' in found)('login', () => {
  test('user and password, in fields or in the URL', async () => {
    await using server = await startNats(program, () => ({ authorization: { user: 'me', password: 'p@ss word' } }));
    await withBucket(server, { user: 'me', pass: 'p@ss word' });
    expect(await works(server, { username: 'me', password: 'p@ss word' })).toBe(1);
    const error = await refused(server, { username: 'me', password: 'battery staple' }, 'UNAUTHORIZED');
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('battery staple');
    await refused(server, {}, 'UNAUTHORIZED');
  });

  test('a token', async () => {
    await using server = await startNats(program, () => ({ authorization: { token: 'horse' } }));
    await withBucket(server, { token: 'horse' });
    expect(await works(server, { token: 'horse' })).toBe(1);
    await refused(server, { token: 'mule' }, 'UNAUTHORIZED');
  });

  test('an NKey: its seed, or a file that holds it', async () => {
    const { publicKey, seed } = createNkey();
    await using server = await startNats(program, () => ({ authorization: { users: [{ nkey: publicKey }] } }));
    await withBucket(server, { authenticator: nkeyAuthenticator(Buffer.from(seed)) });
    writeFileSync(join(server.folder, 'user.nk'), `# the key of the replica\n${seed}\n`);
    expect(await works(server, { nkey: publicKey, seed })).toBe(1);
    expect(await works(server, { seed })).toBe(1);
    expect(await works(server, { nkey: join(server.folder, 'user.nk') })).toBe(1);
    const error = await refused(server, { seed: createNkey().seed }, 'UNAUTHORIZED');
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toMatch(/SU[A-Z2-7]{50}/);
    await refused(server, { nkey: publicKey }, 'CONFIG_INVALID');
    await refused(server, { nkey: join(server.folder, 'nothing.nk') }, 'CONFIG_INVALID');
  });

  test('a creds file beside the config, and a JWT with its seed', async () => {
    const operator = createOperator();
    const { jwt, seed, creds } = operator.user();
    await using server = await startNats(program, () => operator.settings);
    await withBucket(server, { authenticator: credsAuthenticator(Buffer.from(creds)) });
    writeFileSync(join(server.folder, 'app.creds'), creds);
    expect(await works(server, { creds: 'app.creds' })).toBe(1);
    expect(await works(server, { jwt, seed })).toBe(1);
    await refused(server, { jwt, seed: createNkey().seed }, 'UNAUTHORIZED');
    writeFileSync(join(server.folder, 'other.creds'), createOperator().user().creds);
    await refused(server, { creds: 'other.creds' }, 'UNAUTHORIZED');
    const expired = operator.user(Math.floor(Date.now() / 1000) - 5);
    await refused(server, { jwt: expired.jwt, seed: expired.seed }, 'UNAUTHORIZED');
    await refused(server, { creds: 'missing.creds' }, 'CONFIG_INVALID');
    writeFileSync(join(server.folder, 'empty.creds'), 'SECRET-GARBAGE');
    const garbage = await refused(server, { creds: 'empty.creds' }, 'CONFIG_INVALID');
    expect(inspect(garbage, { depth: Infinity, showHidden: true })).not.toContain('SECRET-GARBAGE');
    await refused(server, { jwt, seed: 'SUGARBAGE' }, 'CONFIG_INVALID');
  });

  test.skipIf(!hasOpenssl())('TLS with an authority of one’s own, and with a certificate of the client', async () => {
    let files: ReturnType<typeof makeCertificates> | undefined;
    await using server = await startNats(program, (folder) => {
      files = makeCertificates(folder);
      const { server: own, ca } = files;
      return { tls: { cert_file: own.cert, key_file: own.key, ca_file: ca, verify: true } };
    });
    if (files === undefined) throw new Error('no certificates were made');
    const { ca, client } = files;
    const tls = { caFile: ca, certFile: client.cert, keyFile: client.key };
    await withBucket(server, { tls });
    expect(await works(server, { 'root-cas': ['ca.pem'], 'client-cert': client.cert, 'client-key': client.key })).toBe(
      1,
    );
    // An authority nobody knows here.
    await refused(server, { tls: true, 'client-cert': client.cert, 'client-key': client.key }, 'NETWORK');
    await refused(server, { 'root-cas': ['missing.pem'] }, 'CONFIG_INVALID');
    await refused(
      server,
      { 'root-cas': [ca], 'client-cert': client.cert, 'client-key': join(server.folder, 'ca.key') },
      'CONFIG_INVALID',
    );
    // Under TLS 1.3 the server refuses these when the handshake is over, and the SDK hears nothing of it.
    const timeout = '500ms';
    const none = await refused(server, { 'root-cas': [ca], timeout }, 'CONFIG_INVALID');
    expect(none).toMatchObject({
      message: expect.stringMatching(/requires a certificate/),
      hint: expect.stringMatching(/client-cert and client-key/),
    });
    const { client: foreign } = makeCertificates(join(server.folder, 'foreign'));
    const other = { 'root-cas': [ca], 'client-cert': foreign.cert, 'client-key': foreign.key, timeout };
    expect(await refused(server, other, 'CONFIG_INVALID')).toMatchObject({
      message: expect.stringMatching(/does not accept the certificate/),
    });
  });

  test('TLS where the server offers none', async () => {
    await using server = await startNats(program);
    await withBucket(server);
    expect(await works(server, {})).toBe(1);
    await refused(server, { tls: true }, 'CONFIG_INVALID');
  });
});
