/** Cuts credentials out of texts that go into messages, wherever an SDK or a user put them. */
const USERINFO = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#'"@]*(?:[^\s/?#'"]*)@/gi;
const PARAMETER =
  /([?&;,\s](?:[\w-]*(?:secret|password|passwd|token|signature|credential|account-?key|access-?key|api-?key|jwt|nkey|seed)[\w-]*|sig|AWSAccessKeyId)=)[^&;,\s'"]+/gi;
const HEADER =
  /\b(authorization\s*[:=]\s*)(?:(?:basic|bearer|sharedkey|aws4-hmac-sha256|oss4?-?[\w-]*)\s+)?[^\s'",;]+/gi;
const SECRET_NAME =
  /secret|password|passwd|token|account-?key|access-?key|sas|jwt|seed|nkey|connection-?string|sse-customer-key$/i;
const SECRET_LENGTH_MIN = 6;

/** `text` without `user:password@`, signatures, tokens, and without each of `secrets` wherever it stands. */
export function redact(text: string, secrets: readonly string[] = []): string {
  let safe = text.replace(USERINFO, '$1[redacted]@').replace(PARAMETER, '$1[redacted]').replace(HEADER, '$1[redacted]');
  for (const secret of secrets) {
    // A short one would cut holes into ordinary words; such a secret protects nothing anyway.
    if (secret.length >= SECRET_LENGTH_MIN) safe = safe.replaceAll(secret, '[redacted]');
  }
  return safe;
}

/** The values in a config that must never be shown, found by the names of their keys, nested ones included. */
export function secretsOf(config: unknown, depth = 0): string[] {
  if (typeof config !== 'object' || config === null || depth > 4) return [];
  return Object.entries(config).flatMap(([key, value]) =>
    typeof value === 'string' && SECRET_NAME.test(key) && !/path$|file$/i.test(key)
      ? [value]
      : secretsOf(value, depth + 1),
  );
}
