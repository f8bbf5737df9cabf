/** Private keys in every form that OpenSSL and OpenSSH write, and host keys as ssh-keyscan prints them. */
import { createHmac, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { SftpOptions } from '../src/index.ts';
import { newKeyPair } from './key-pair.ts';
import { SftpTestServer } from './sftp-server.ts';
import { clientFor } from './support.ts';

let server: SftpTestServer;
beforeAll(async () => {
  server = await SftpTestServer.start();
});
afterAll(() => server[Symbol.asyncDispose]());

const PASSPHRASE = 'correct horse';

const keys: Readonly<Record<string, KeyObject>> = {
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  'ECDSA P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  'ECDSA P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  'ECDSA P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  Ed25519: generateKeyPairSync('ed25519').privateKey,
  'Ed25519 with zeros at its ends': ed25519WithZeros(),
};

/** A key whose secret and public halves end in a zero. */
function ed25519WithZeros(): KeyObject {
  for (let number = 1; ; number++) {
    const seed = Buffer.alloc(32);
    seed.writeUInt32BE(number);
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    if (Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').at(-1) === 0) return key;
  }
}

/** RFC 4253, 5656 and 8709. */
function publicBlob(key: KeyObject): Buffer {
  const { kty, crv, n = '', e = '', x = '', y = '' } = key.export({ format: 'jwk' });
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  if (kty === 'RSA') return Buffer.concat([field('ssh-rsa'), field(positive(bytes(e))), field(positive(bytes(n)))]);
  if (kty === 'OKP') return Buffer.concat([field('ssh-ed25519'), field(bytes(x))]);
  const curve = `nist${crv?.replace('-', '').toLowerCase()}`;
  const point = Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)]);
  return Buffer.concat([field(`ecdsa-sha2-${curve}`), field(curve), field(point)]);
}

function positive(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]);
}

function field(value: string | Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(value.length);
  return Buffer.concat([length, Buffer.from(value)]);
}

async function login(keyFile: string, options: Partial<SftpOptions> = {}): Promise<void> {
  const keyPath = join(server.folder, 'key');
  await writeFile(keyPath, keyFile);
  await using client = clientFor(server, { keyPath, ...options });
  await client.init();
}

describe.each(Object.entries(keys))('a private key: %s', (_name, key) => {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const encrypted = (cipher: string): string =>
    key.export({ type: 'pkcs8', format: 'pem', cipher, passphrase: PASSPHRASE }).toString();
  beforeAll(() => {
    server.publicKey = publicBlob(key);
  });

  test('in PKCS#8, also with text around it and lines of Windows', async () => {
    await expect(login(pkcs8)).resolves.toBeUndefined();
    await expect(login(`Bag Attributes\n    friendlyName: me\n${pkcs8}\nand more\n`)).resolves.toBeUndefined();
    await expect(login(pkcs8.replaceAll('\n', '\r\n'))).resolves.toBeUndefined();
  });

  test('encrypted', async () => {
    const options = { keyPassphrase: PASSPHRASE };
    await expect(login(encrypted('aes-256-cbc'), options)).resolves.toBeUndefined();
    const refused = { code: 'CONFIG_INVALID', hint: 'Set key-passphrase.' };
    await expect(login(encrypted('aes-256-cbc'))).rejects.toMatchObject(refused);
    const wrong = login(encrypted('aes-256-cbc'), { keyPassphrase: 'wrong' });
    await expect(wrong).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: 'Check key-passphrase.' });
  });

  test('in the form of its own kind', async () => {
    const type = { rsa: 'pkcs1', ec: 'sec1' }[String(key.asymmetricKeyType)] as 'pkcs1' | 'sec1' | undefined;
    const forms = type === undefined ? [] : [{ type }, { type, cipher: 'aes-128-cbc', passphrase: PASSPHRASE }];
    for (const form of forms) {
      const pem = key.export({ format: 'pem', ...form } as never).toString();
      await expect(login(pem, { keyPassphrase: PASSPHRASE })).resolves.toBeUndefined();
    }
    expect(forms).toHaveLength(type === undefined ? 0 : 2);
  });
});

test.each([
  ['X25519', generateKeyPairSync('x25519').privateKey],
  ['ECDSA secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
])('a key that SSH has not is named as such: %s', async (_name, key) => {
  const refused = login(key.export({ type: 'pkcs8', format: 'pem' }).toString());
  await expect(refused).rejects.toThrow('SSH has no keys of this kind');
});

describe('host-key as ssh-keyscan prints it', () => {
  const other = newKeyPair().public;
  const lines = (): Readonly<Record<string, string>> => ({
    'a host': `files.example ${server.hostKey}`,
    'a port': `[127.0.0.1]:2222 ${server.hostKey}`,
    'a comment': `${server.hostKey} root@files`,
    'comments and several lines': `# files.example:22 SSH-2.0\r\nfiles.example ${other}\r\n\r\nfiles.example ${server.hostKey}\r\n`,
    'a hashed host': `|1|c2FsdA==|${createHmac('sha1', 'salt').update('files.example').digest('base64')} ${server.hostKey}`,
  });

  beforeAll(() => {
    server.publicKey = publicBlob(keys['Ed25519'] as KeyObject);
  });

  test.each(['a host', 'a port', 'a comment', 'comments and several lines', 'a hashed host'])(
    'with %s',
    async (name) => {
      const pem = keys['Ed25519']?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '';
      await expect(login(pem, { hostKey: lines()[name] })).resolves.toBeUndefined();
    },
  );

  test.each(['@revoked', '@cert-authority'])('a line marked %s names no key', async (marker) => {
    const pem = keys['Ed25519']?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '';
    await expect(login(pem, { hostKey: `${marker} * ${server.hostKey}` })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(login(pem, { hostKey: `files.example ${other}` })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });
});
