/** Converts private keys to a form that the SSH library reads: it supports only the older PEM forms. */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { LitestreamError } from '@litestream/core';

const BLOCK = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/;

/**
 * The first private key of a file, without the text around it.
 *
 * @throws LitestreamError `CONFIG_INVALID` for a key that does not decrypt, or whose kind SSH does not have
 */
export function readablePrivateKey(file: Buffer, passphrase: string | undefined): Buffer | string {
  const [block, kind] = BLOCK.exec(file.toString('latin1')) ?? [];
  if (block === undefined || kind === undefined) return file;
  if (kind === 'OPENSSH PRIVATE KEY' || kind === 'DSA PRIVATE KEY') return block;
  return exported(parse(block, passphrase));
}

function parse(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // The message of OpenSSL depends on its version.
    if (/^(?:Proc-Type|-----BEGIN ENCRYPTED)/m.test(pem)) {
      if (passphrase === undefined) throw invalid('it is encrypted', 'Set key-passphrase.');
      throw invalid('it does not decrypt', 'Check key-passphrase.');
    }
    throw invalid('it is damaged', 'Give a private key in OpenSSH or PEM format.');
  }
}

function exported(key: KeyObject): string {
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = key;
  if (kind === 'rsa') return key.export({ type: 'pkcs1', format: 'pem' }).toString();
  if (kind === 'ed25519') return opensshEd25519(key);
  if (kind === 'ec' && /^(?:prime256v1|secp384r1|secp521r1)$/.test(details?.namedCurve ?? '')) {
    return key.export({ type: 'sec1', format: 'pem' }).toString();
  }
  throw invalid('SSH has no keys of this kind', 'Give an Ed25519 key, an ECDSA key of a NIST curve, or an RSA key.');
}

/** OpenSSH's PROTOCOL.key, the only form of an Ed25519 key that the library reads. */
function opensshEd25519(key: KeyObject): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' });
  const publicKey = Buffer.from(x, 'base64url');
  const publicBlob = Buffer.concat([field('ssh-ed25519'), field(publicKey)]);
  const secret = field(Buffer.concat([Buffer.from(d, 'base64url'), publicKey]));
  // Two equal numbers prove that a key was decrypted; this one is not encrypted.
  const body = Buffer.concat([Buffer.alloc(8), publicBlob, secret, field('')]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (body.length % 8)) % 8));
  const count = Buffer.from([0, 0, 0, 1]);
  const head = [Buffer.from('openssh-key-v1\0'), field('none'), field('none'), field(''), count];
  const bytes = Buffer.concat([...head, field(publicBlob), field(Buffer.concat([body, padding]))]);
  const lines = bytes.toString('base64').replaceAll(/.{70}(?=.)/g, '$&\n');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** Bytes with their length before them. */
function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function invalid(reason: string, hint: string): LitestreamError {
  return new LitestreamError(`cannot parse sftp key path: ${reason}`, {
    code: 'CONFIG_INVALID',
    backend: 'sftp',
    hint,
  });
}
