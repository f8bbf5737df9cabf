/** What can be wrong with a place for backups, whatever the backend. Each backend's table answers all of these. */
export const CONDITIONS = {
  'wrong-key': 'a wrong key or password',
  'no-key': 'no key or password',
  expired: 'a token that has expired',
  region: 'a wrong region',
  clock: 'a clock that is wrong',
  bucket: 'a bucket that is not there',
  'read-only': 'nothing may be written',
  'no-delete': 'nothing may be deleted',
  locked: 'objects under a lock',
  full: 'no space is left',
  throttled: 'too many requests',
  redirect: 'a redirect',
  proxy: 'a proxy that wants a login',
  impostor: 'a server that is not trusted',
  unreachable: 'no server',
} as const;

export type Condition = keyof typeof CONDITIONS;

/** Brings the condition about and resolves to what an operation then rejects with; or says why there is no such thing. */
export type Attempt = (() => Promise<unknown>) | string;

/** A server, and what is tried on it. */
export interface BadPlace extends AsyncDisposable {
  readonly attempts: Readonly<Record<Condition, Attempt>>;
  /** Takes back what an attempt spoilt. */
  readonly mend?: () => void;
}
