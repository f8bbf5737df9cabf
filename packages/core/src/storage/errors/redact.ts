/**
 * The only place that removes credentials from texts, regardless of whether an SDK, a server or a user put them there.
 * Patterns are bounded, since a server may send a text of any length.
 */
const USERINFO = /\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?'"]{0,2000}@/gi;
const PARAMETER =
  /([?&;,\s](?:[\w-]{0,40}(?:secret|password|passwd|token|signature|credential|account-?key|access-?key|api-?key|jwt|nkey|seed)[\w-]{0,40}|sig|AWSAccessKeyId)=)[^&;,\s'"]+/gi;
const HEADER =
  /\b(authorization\s{0,3}[:=]\s{0,3})(?:(?:basic|bearer|sharedkey|aws4-hmac-sha256|oss4?-?[\w-]{0,20})\s{1,3})?[^\s'",;]+/gi;
const SECRET_NAME =
  /secret|password|passwd|token|account-?key|access-?key|sas|jwt|seed|nkey|connection-?string|sse-customer-key$/i;
/** Query parameters of a URL that are credentials. */
const SECRET_PARAMETER =
  /^(?:key|auth|code|sig|sas|pwd|pass)$|secret|passw|token|signature|credential|-?key$|jwt|seed/i;
/** Environment variables that backends read credentials from. */
const SECRET_VARIABLE =
  /^(?:AWS|LITESTREAM|AZURE|OSS|ALIBABA|GOOGLE|NATS|WEBDAV|SFTP)_\w*(?:SECRET|PASSWORD|PASSPHRASE|TOKEN|CONNECTION_?STRING|ACCOUNT_?KEY|CUSTOMER_?KEY|ACCESS_?KEY|PRIVATE_?KEY|JWT|SEED)/;

/** A shorter secret may be a part of any word, so it is redacted only as a whole word. */
const PART_LENGTH_MIN = 6;
/** An even shorter one may be any word (`a`): it is redacted only where a value is expected. */
const WORD_LENGTH_MIN = 3;

/** `text` without `user:password@`, signatures, tokens, and without each of `secrets` in any of its forms. */
export function redact(text: string, secrets: readonly string[] = []): string {
  const safe = text
    .replace(USERINFO, '$1[redacted]@')
    .replace(PARAMETER, '$1[redacted]')
    .replace(HEADER, '$1[redacted]');
  return secrets.length === 0 ? safe : redactValues(safe, longestFirst(secrets.flatMap(secretForms)), '[redacted]');
}

/** `text` with each of `forms` replaced; they must be sorted by `longestFirst`. */
export function redactValues(text: string, forms: readonly string[], mark: string): string {
  let safe = text;
  for (const form of forms) if (safe.includes(form)) safe = redactValue(safe, form, mark);
  return safe;
}

/** A form may be a part of a longer one, which must be replaced first. */
export function longestFirst(forms: Iterable<string>): string[] {
  return [...forms].sort((a, b) => b.length - a.length);
}

function redactValue(text: string, form: string, mark: string): string {
  if (form.length >= PART_LENGTH_MIN) return text.replaceAll(form, mark);
  const literal = form.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
  const pattern =
    form.length >= WORD_LENGTH_MIN ? `(?<!\\w)${literal}(?!\\w)` : `(?<=["'=:])${literal}(?=["'@&;,\\s]|$)`;
  return text.replaceAll(new RegExp(pattern, 'g'), () => mark);
}

/**
 * A secret in each form in which texts show it: unchanged, trimmed, percent-encoded in the usual ways, decoded, and quoted
 * as in JSON and other notations.
 */
export function secretForms(secret: string): string[] {
  const component = encodeURIComponent(secret.toWellFormed());
  const strict = component.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const encodings = [component, strict, strict.replaceAll('%20', '+'), encodeURI(secret.toWellFormed())];
  const quoted = JSON.stringify(secret).slice(1, -1);
  const forms = [
    secret,
    secret.trim(),
    decoded(secret),
    ...encodings,
    ...encodings.map((encoded) => encoded.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())),
    quoted,
    quoted.replaceAll("'", String.raw`\'`),
    secret.replaceAll(/[<>&"']/g, (char) => `&${ENTITIES[char]};`),
  ];
  return [...new Set(forms)].filter((form) => form !== '');
}

const ENTITIES: Readonly<Record<string, string>> = { '<': 'lt', '>': 'gt', '&': 'amp', '"': 'quot', "'": 'apos' };

/**
 * The values in a config that must never be shown, nested ones included: those of keys that are secret by name, and in
 * any value that is a URL, its password and the parameters that are secret by name.
 */
export function secretsOf(config: unknown, depth = 0): string[] {
  if (typeof config !== 'object' || config === null || depth > 4) return [];
  return Object.entries(config).flatMap(([key, value]) => {
    if (typeof value !== 'string') return secretsOf(value, depth + 1);
    const isSecret = SECRET_NAME.test(key) && !/path$|file$/i.test(key);
    return isSecret ? urlSecrets(value).concat(value) : urlSecrets(value);
  });
}

/**
 * The secrets of a URL, encoded as in the URL. A URL parser does not find the end of a password with an unescaped `/`, `?` or
 * `#`, or of one in text that only resembles a URL (`sftp:/u:p@host`). So all text up to the last `@` counts.
 */
export function urlSecrets(text: string): string[] {
  const whole = isBroken(text) ? [text.slice(text.indexOf('://') + 3)] : [];
  return [...new Set([...whole, ...unescapedSecrets(text), ...partsOf(text)])];
}

function partsOf(text: string): string[] {
  const [, scheme = '', user, password] = /^([a-z][\w+.-]*):\/\/(?:([^/?#@:]*)(?::([^/?]*))?@)?/i.exec(text) ?? [];
  if (scheme === '') return [];
  const parameters = [...text.matchAll(/[?&]([^=&#]{1,100})=([^&]*)/g)];
  return [
    ...(password === undefined ? [] : [password]),
    // Without a password, the user name may be a token, as in NATS; in HTTP it is often a key.
    ...(password === undefined && user !== undefined && /^(?:nats|tls|wss?|https?)$/i.test(scheme) ? [user] : []),
    // The text after a # may be a fragment, or the rest of a secret.
    ...parameters.flatMap(([, name = '', value = '']) =>
      SECRET_PARAMETER.test(name) ? [value, value.replace(/#.*$/s, '')] : [],
    ),
  ].filter((secret) => secret !== '');
}

function unescapedSecrets(text: string): string[] {
  const [, secret = ''] = /^[a-z][\w+.-]*:\/{0,2}[^/?#@:]*:(.*)@/is.exec(text) ?? [];
  if (!/[/?#]/.test(secret) && text.includes('://')) return [];
  // A parser that misreads the URL puts one part into the path, and another into the host.
  return [secret, ...secret.split(/[/?#]/)].filter((part) => part.length >= PART_LENGTH_MIN);
}

/** Is it a URL with a `%` that begins no escape? Then its parts cannot be identified. */
function isBroken(text: string): boolean {
  const [, location] = /^[a-z][\w+.-]*:\/\/([^?]*)/i.exec(text) ?? [];
  return location !== undefined && decodedOrNothing(location) === undefined;
}

/** Names of variables that hold a credential of a backend. */
export function secretVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env).filter((name) => SECRET_VARIABLE.test(name) && !/(?:PATH|FILE|URI|ENDPOINT)$/.test(name));
}

/** Values of these variables. */
export function environmentSecrets(env: Readonly<Record<string, string | undefined>>): string[] {
  return secretVariables(env).flatMap((name) => env[name] || []);
}

function decoded(text: string): string {
  return decodedOrNothing(text) ?? text;
}

function decodedOrNothing(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
