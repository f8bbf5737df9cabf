/**
 * Where a replica lies that a URL names: what Litestream (Go) 0.5.18 writes, and we. `npm run test:interop -- urls` compares
 * the two programs over this table, `tests/test/replica-urls.test.ts` holds our clients to it, and `docs/reports/backends.md` shows it.
 */

/** Backends whose URLs are `scheme://place/path`. */
export type UrlScheme = 's3' | 'oss' | 'gs' | 'abs' | 'webdav' | 'sftp';

export interface ReplicaUrlRow {
  /** What follows `scheme://bucket`. */
  readonly after: string;
  /** Folder of level 0 of `s3` and `oss`. Keys of `oss` never begin with a slash: the service refuses them. */
  readonly s3: string;
  readonly oss: string;
  /** Folder of level 0 of `gs` and `abs`. */
  readonly gs: string;
  /** Folder of level 0 of `webdav` and `sftp`; without a slash, one below the folder that the login leads to. */
  readonly webdav: string;
  readonly sftp: string;
}

function row(after: string, path: string): ReplicaUrlRow {
  return {
    after,
    s3: `${path}/0000/`,
    oss: `${path}/0000/`,
    gs: `${path}/ltx/0/`,
    webdav: `/${path}/ltx/0/`,
    sftp: `/${path}/ltx/0/`,
  };
}

const root = { s3: '/0000/', oss: '0000/', gs: 'ltx/0/', webdav: '/ltx/0/', sftp: '/ltx/0/' };
const bare = { ...root, s3: './0000/', oss: './0000/', sftp: 'ltx/0/' };

export const REPLICA_URLS: readonly ReplicaUrlRow[] = [
  { after: '', ...bare },
  { after: '?x=1', ...bare },
  { after: '#b', ...bare },
  { after: '/', ...root },
  { after: '//', ...root },
  { after: '/.', ...root },
  { after: '/..', ...root },
  row('/a', 'a'),
  row('/a/', 'a'),
  row('//a', 'a'),
  row('/a//b', 'a/b'),
  row('/./a/.', 'a'),
  row('/a/../b', 'b'),
  row('/../a', 'a'),
  row('/a/%2e%2e/b', 'b'),
  row('/a%2Fb', 'a/b'),
  row('/a%20b', 'a b'),
  row('/a b', 'a b'),
  row('/a+b', 'a+b'),
  row('/a;b', 'a;b'),
  row('/é', 'é'),
  row('/a%23b', 'a#b'),
  row('/a%3Fb', 'a?b'),
  row('/a#b', 'a'),
  row('/a?x=1', 'a'),
];

/** `path` in YAML, which nothing cleans, and the folder of level 0 of `s3` and `oss`. */
export const YAML_PATHS: readonly { readonly path: string; readonly s3: string; readonly oss: string }[] = [
  { path: '', s3: '/0000/', oss: '0000/' },
  { path: '/', s3: '//0000/', oss: '0000/' },
  { path: '/a', s3: '/a/0000/', oss: 'a/0000/' },
  ...['a', 'a/', 'a//b', './a', 'a/../b', '.', '..', 'a#b', 'a%20b', 'a?b'].map((path) => {
    return { path, s3: `${path}/0000/`, oss: `${path}/0000/` };
  }),
];

/** Access points: nothing is decoded, and nothing is cut at a #. */
export const ARN_URLS: readonly { readonly after: string; readonly path: string }[] = [
  { after: '', path: '' },
  { after: '/', path: '' },
  { after: '/a/', path: 'a' },
  { after: '/a//../b', path: 'b' },
  { after: '/a%20b', path: 'a%20b' },
  { after: '/a#b', path: 'a#b' },
  { after: '/a?region=r', path: 'a' },
];

/** The table as the page of backends shows it. */
export function replicaUrlsPage(): string {
  const cell = (text: string): string => `\`${text}\``;
  const rows = REPLICA_URLS.map(({ after, ...at }) =>
    ['', `scheme://bucket${after}`, at.s3, at.oss, at.gs, at.webdav, at.sftp].map(cell).slice(1).join(' | '),
  );
  return [
    '## Where a URL puts a replica',
    '',
    'The folder of level 0, as Litestream (Go) 0.5.18 has it: either program finds what the other wrote.',
    '`npm run test:interop -- urls` runs both over this table. A bucket with and without a slash are two places on S3 and OSS.',
    'OSS refuses keys that begin with a slash, so Go cannot write there, and we leave the slash out.',
    'What follows a `#` is cut, with a warning: write it as `%23`. `path` in YAML is taken as it is: `path: a/` is `a//0000/`.',
    'An ARN (`s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/path`) is cleaned but not decoded, and has no `#`.',
    'A folder of SFTP without a slash at its start lies in the folder that the login leads to.',
    '',
    '| URL | s3 | oss | gs, abs | webdav | sftp |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map((text) => `| ${text} |`),
    '',
  ].join('\n');
}
