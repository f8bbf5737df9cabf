/** An operator, an account and its users as `nsc` makes them: JWTs signed with NKeys, and what a server needs of them. */
import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const UNLIMITED = -1;
const ACCOUNT_LIMITS = {
  ...Object.fromEntries(['subs', 'data', 'payload', 'imports', 'exports', 'conn', 'leaf'].map((n) => [n, UNLIMITED])),
  ...Object.fromEntries(['mem_storage', 'disk_storage', 'streams', 'consumer'].map((n) => [n, UNLIMITED])),
  wildcards: true,
};

export interface Operator {
  /** Settings of a server that trusts this operator and knows its accounts. */
  readonly settings: Record<string, unknown>;
  /** A user of the account: its JWT and its seed. `expiresAt` in seconds since 1970. */
  user(expiresAt?: number): { jwt: string; seed: string; creds: string };
}

export function createOperator(): Operator {
  const [operator, system, account] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount()];
  const accountClaims = { limits: ACCOUNT_LIMITS, type: 'account', version: 2 };
  // The system's account may not have storage of its own.
  const systemClaims = { limits: { ...ACCOUNT_LIMITS, mem_storage: 0, disk_storage: 0 }, type: 'account', version: 2 };
  return {
    settings: {
      operator: sign(operator, operator, { type: 'operator', version: 2, system_account: system.getPublicKey() }),
      system_account: system.getPublicKey(),
      resolver: 'MEMORY',
      resolver_preload: {
        [system.getPublicKey()]: sign(operator, system, systemClaims),
        [account.getPublicKey()]: sign(operator, account, accountClaims),
      },
    },
    user: (expiresAt) => {
      const user = nkeys.createUser();
      const claims = { subs: UNLIMITED, data: UNLIMITED, payload: UNLIMITED, type: 'user', version: 2 };
      const jwt = sign(account, user, claims, expiresAt);
      const seed = textOf(user.getSeed());
      return { jwt, seed, creds: `${block('NATS USER JWT', jwt)}\n${block('USER NKEY SEED', seed)}` };
    },
  };
}

/** A user that is nothing but a key pair. */
export function createNkey(): { publicKey: string; seed: string } {
  const user = nkeys.createUser();
  return { publicKey: user.getPublicKey(), seed: textOf(user.getSeed()) };
}

function sign(issuer: KeyPair, subject: KeyPair, nats: object, expiresAt?: number): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = {
    jti: subject.getPublicKey(),
    iat: Math.floor(Date.now() / 1000) - 60,
    iss: issuer.getPublicKey(),
    name: 'litestream',
    sub: subject.getPublicKey(),
    nats,
    ...(expiresAt === undefined ? {} : { exp: expiresAt }),
  };
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}

function block(title: string, text: string): string {
  return `-----BEGIN ${title}-----\n${text}\n------END ${title}------\n`;
}

function textOf(seed: Uint8Array): string {
  return Buffer.from(seed).toString('latin1');
}
