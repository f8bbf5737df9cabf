/**
 * Values that must never be printed. Code that reads one (config, URL, environment) registers it here. The logger and the
 * error printer redact every registered value, so that not even the message of an SDK shows one.
 */

import {
  environmentSecrets,
  longestFirst,
  redact as redactPatterns,
  redactValues,
  secretForms,
  secretVariables,
  urlSecrets,
} from '@litestream/core';

/** Keys of a config whose values are secrets. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  'access-key-id',
  'secret-access-key',
  'sse-customer-key',
  'account-key',
  'sas-token',
  'connection-string',
  'password',
  'webdav-password',
  'jwt',
  'seed',
  'nkey',
  'token',
]);

const SECRET_NAME =
  /secret|password|passphrase|token|connection-?string|account-?key|customer-?key|access-?key|private-?key|^sig$|^jwt$|^seed$/i;

const values = new Set<string>();
/** `values`, longest first; computed for the first text after a registration. */
let sorted: readonly string[] | undefined;

export function isSecretKey(key: string): boolean {
  return SECRET_KEYS.has(key) || (SECRET_NAME.test(key) && !/(path|file)$/i.test(key));
}

/** @param value Kept in every form that `secretForms` of core knows. */
export function registerSecret(value: unknown): void {
  if (typeof value !== 'string' || value === '') return;
  for (const form of secretForms(value)) values.add(form);
  sorted = undefined;
  // A connection string of Azure: a message may quote only its secret part.
  for (const [, part = ''] of value.matchAll(/(?:AccountKey|SharedAccessSignature)=([^;]+)/gi)) {
    if (part !== value) registerSecret(part);
  }
}

/** Registers the secrets of a URL, of a replica or of a setting: its password, and parameters that are secret by name. */
export function registerUrlSecrets(text: string): void {
  for (const secret of urlSecrets(text)) registerSecret(secret);
}

/** Registers the values of the variables that backends read. */
export function registerEnvironmentSecrets(env: Environment): void {
  for (const value of environmentSecrets(env)) registerSecret(value);
}

/** Variables that backends read credentials from, or whose value is a secret of the config. */
export function credentialNames(env: Environment): string[] {
  const named = new Set(secretVariables(env));
  return Object.keys(env).filter((name) => named.has(name) || values.has(env[name] ?? ''));
}

/** The text without registered values, and without any text that looks like a credential. */
export function redact(text: string): string {
  sorted ??= longestFirst(values);
  return redactValues(redactPatterns(text), sorted, '***');
}

type Environment = Readonly<Record<string, string | undefined>>;
