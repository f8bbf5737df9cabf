/**
 * Values that must never be printed. Whoever reads one (config, URL, environment) registers it here; the logger and
 * the error printer blot out every registered value, so that not even the message of an SDK can show one.
 */

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

/** Shorter values would blot out ordinary words. */
const LENGTH_MIN = 6;

const values = new Set<string>();

export function isSecretKey(key: string): boolean {
  return SECRET_KEYS.has(key) || (SECRET_NAME.test(key) && !/(path|file)$/i.test(key));
}

/** @param value Kept as it is, percent-encoded and percent-decoded. */
export function registerSecret(value: unknown): void {
  if (typeof value !== 'string' || value.length < LENGTH_MIN) return;
  for (const form of [value, encodeURIComponent(value), decoded(value)]) {
    if (form.length >= LENGTH_MIN) values.add(form);
  }
  // A connection string of Azure: what is secret in it may be quoted alone.
  for (const [, part = ''] of value.matchAll(/(?:AccountKey|SharedAccessSignature)=([^;]+)/gi)) {
    if (part !== value) registerSecret(part);
  }
}

/** Registers the secrets of a replica URL: its password, and query parameters that are secret by name. */
export function registerUrlSecrets(text: string): void {
  registerSecret(/^[a-z][\w+.-]*:\/\/[^/?#@:]*:([^/?#]*)@/i.exec(text)?.[1]);
  // Without a password the name may be a token, as NATS has them.
  registerSecret(/^nats:\/\/([^/?#@:]*)@/i.exec(text)?.[1]);
  for (const [, name = '', value = ''] of text.matchAll(/[?&]([^=&#]+)=([^&#]*)/g)) {
    if (isSecretKey(name)) registerSecret(value);
  }
}

/** Registers what the environment holds under the names that backends read. */
export function registerEnvironmentSecrets(env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (
      /^(AWS|LITESTREAM|AZURE|OSS|ALIBABA|GOOGLE|NATS|WEBDAV|SFTP)_/.test(name) &&
      isSecretKey(name.replaceAll('_', '-'))
    ) {
      registerSecret(value);
    }
  }
}

/** The text with every registered secret replaced. */
export function redact(text: string): string {
  let out = text;
  for (const value of values) {
    if (out.includes(value)) out = out.replaceAll(value, '***');
  }
  return out;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    if (error instanceof URIError) return value;
    throw error;
  }
}
