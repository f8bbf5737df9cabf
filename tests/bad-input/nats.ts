import { nats } from '@litestream/client-nats';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

import { makeCertificates } from '../nats/certificates.ts';
import { createOperator } from '../nats/claims.ts';
import { startNats } from '../nats/server.ts';
import { createBucket } from '../services/nats.ts';
import type { BadPlace } from './conditions.ts';
import { Replica, SECRET } from './replica.ts';

const PASSWORD = 'correct horse';

/** @param program path of nats-server */
export async function openNats(program: string): Promise<BadPlace> {
  const user = (name: string, ...deny: string[]): object => ({
    user: name,
    password: PASSWORD,
    ...(deny.length === 0 ? {} : { permissions: { publish: { deny } } }),
  });
  const users = [user('all'), user('reader', '$O.>'), user('keeper', '$JS.API.STREAM.PURGE.>')];
  const server = await startNats(program, () => ({ authorization: { users } }));
  const operator = createOperator();
  const strict = await startNats(program, () => operator.settings);
  const tls = await startNats(program, (folder) => {
    const { server: own, ca } = makeCertificates(folder);
    return { tls: { cert_file: own.cert, key_file: own.key, ca_file: ca } };
  });
  const address = `127.0.0.1:${server.port}`;
  const login = { servers: address, user: 'all', pass: PASSWORD };
  await createBucket(login, 'app');
  /** A bucket like no other: what its stream is told is final. */
  const bucketWith = async (bucket: string, settings: object): Promise<string> => {
    await createBucket(login, bucket);
    const connection = await connect(login);
    const { streams } = await jetstreamManager(connection);
    const { config } = await streams.info(`OBJ_${bucket}`);
    await streams.update(`OBJ_${bucket}`, { ...config, ...settings });
    await connection.close();
    return bucket;
  };
  const config = { server: `nats://${address}`, bucket: 'app', username: 'all', password: PASSWORD };
  const replica = new Replica(nats(), config);
  const expired = operator.user(Math.floor(Date.now() / 1000) - 5);
  const anonymous = { username: undefined, password: undefined };
  return {
    attempts: {
      'wrong-key': () => replica.list({ password: SECRET }),
      'no-key': () => replica.list(anonymous),
      expired: () =>
        replica.list({
          server: `nats://127.0.0.1:${strict.port}`,
          ...anonymous,
          jwt: expired.jwt,
          seed: expired.seed,
        }),
      region: 'there is none',
      clock: 'no request carries a time',
      bucket: () => replica.list({ bucket: 'nowhere' }),
      'read-only': () => replica.write({ username: 'reader' }),
      'no-delete': () => replica.remove(() => undefined, { username: 'keeper' }),
      locked: async () => replica.write({ bucket: await bucketWith('sealed', { sealed: true }) }),
      full: async () => replica.write({ bucket: await bucketWith('full', { max_bytes: 10 }) }),
      throttled: 'the protocol has no word for it',
      redirect: 'there is none',
      proxy: 'the protocol goes past the proxies of HTTP',
      impostor: () => replica.list({ server: `nats://127.0.0.1:${tls.port}`, ...anonymous, tls: true }),
      unreachable: () => replica.list({ server: 'nats://127.0.0.1:1' }),
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of [server, strict, tls]) await one[Symbol.asyncDispose]();
    },
  };
}
