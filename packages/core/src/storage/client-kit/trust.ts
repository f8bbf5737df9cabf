/**
 * The certificates to trust: those of Node and those of the machine. On Linux and other Unixes the machine's are in the files
 * that Go reads (crypto/x509). `SSL_CERT_FILE` and `SSL_CERT_DIR` replace these files.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';

type Environment = Readonly<Record<string, string | undefined>>;

/** The first one that exists is used. */
const FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
/** All of them are used. */
const FOLDERS = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

interface Trust {
  readonly added: readonly string[];
  context: SecureContext | undefined;
}

/** Read once in a process, as Go does. */
const known = new Map<string, Trust>();

/** Certificates, in PEM, that the machine trusts and Node does not. Certificates that cannot be read are left out. */
export function machineCertificates(env: Environment = process.env): readonly string[] {
  return trustOf(env).added;
}

/** All trusted certificates, in PEM; undefined: the defaults of Node. */
export function trustedCertificates(env: Environment = process.env): readonly string[] | undefined {
  const { added } = trustOf(env);
  return added.length === 0 ? undefined : [...getCACertificates('default'), ...added];
}

/**
 * Options of an HTTPS agent, or of a TLS socket, that trusts them. The context is shared, because creating one takes
 * long.
 */
export function trustedTls(env: Environment = process.env): { readonly secureContext?: SecureContext } {
  const ca = trustedCertificates(env);
  if (ca === undefined) return {};
  const trust = trustOf(env);
  trust.context ??= createSecureContext({ ca: [...ca] });
  return { secureContext: trust.context };
}

function trustOf(env: Environment): Trust {
  const { SSL_CERT_FILE: file = '', SSL_CERT_DIR: folders = '' } = env;
  const key = JSON.stringify([file, folders]);
  let trust = known.get(key);
  if (trust === undefined) {
    const trusted = new Set(getCACertificates('default').map(contentOf));
    const found = new Map(readMachine(file, folders).map((pem) => [contentOf(pem), pem]));
    trust = {
      added: [...found].filter(([content, pem]) => !trusted.has(content) && isCertificate(pem)).map(([, pem]) => pem),
      context: undefined,
    };
    known.set(key, trust);
  }
  return trust;
}

function readMachine(file: string, folders: string): string[] {
  if (process.platform === 'darwin' || process.platform === 'win32') return getCACertificates('system');
  const texts = [firstOf(file === '' ? FILES : [file])];
  for (const folder of folders === '' ? FOLDERS : folders.split(':')) texts.push(...readFolder(folder));
  return texts.flatMap((text) => text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []);
}

function firstOf(files: readonly string[]): string {
  for (const file of files) {
    const text = read(file);
    if (text !== undefined) return text;
  }
  return '';
}

function readFolder(folder: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // There is no such folder, or this user may not read it.
  }
  return entries.flatMap((entry) => (isAlias(entry) ? [] : (read(join(folder, entry.name)) ?? [])));
}

/** A link to a file of the same folder, named by the hash of its subject, as OpenSSL requires. */
function isAlias(entry: Dirent): boolean {
  return entry.isSymbolicLink() && !readlinkSync(join(entry.parentPath, entry.name)).includes('/');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // As above.
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.byteLength > 0;
  } catch {
    return false; // A certificate that Node cannot read would fail every connection.
  }
}

/** The text between the lines that begin and end a certificate. */
function contentOf(pem: string): string {
  return pem.replaceAll(/-----[^-]+-----|\s/g, '');
}
