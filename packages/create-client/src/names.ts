/** Derives all names of a client from the one name that the user gives. */

export interface ClientNames {
  /** The npm package. */
  readonly packageName: string;
  /** The folder of the new repository. */
  readonly folder: string;
  /** `type:` in a config, and the scheme of URLs. */
  readonly type: string;
  /** The function that returns the plugin. */
  readonly camel: string;
  /** First part of the names of types. */
  readonly pascal: string;
}

/** Types and schemes that belong to packages of this project. */
const TAKEN: ReadonlySet<string> = new Set([
  'abs',
  'file',
  'gcs',
  'gs',
  'nats',
  'oss',
  's3',
  'sftp',
  // litestream reads such a URL as the path of a database.
  'sqlite',
  'sqlite3',
  'webdav',
  'webdavs',
]);

/** Words that cannot be the name of a function in a module. */
const RESERVED =
  /^(?:await|break|case|catch|class|const|continue|debugger|default|delete|do|else|enum|export|extends|false|finally|for|function|if|implements|import|in|instanceof|interface|let|new|null|package|private|protected|public|return|static|super|switch|this|throw|true|try|typeof|var|void|while|with|yield|arguments|eval)$/;

const PREFIX = 'litestream-client-';
const PACKAGE_LENGTH_MAX = 214;

/**
 * @param name `redis`, `litestream-client-redis` or `@acme/litestream-client-redis`
 * @param type overrides the type from the name
 */
export function namesOf(name: string, type?: string): ClientNames {
  const [, scope = '', base = ''] = /^(@[a-z0-9][a-z0-9._-]*\/)?([a-z0-9][a-z0-9._-]*)$/.exec(name) ?? [];
  if (base === '' || name.length > PACKAGE_LENGTH_MAX) {
    throw new Error(
      `${JSON.stringify(name)} is not the name of an npm package: use lower-case letters, digits and hyphens`,
    );
  }
  const chosen = type ?? base.replace(/^litestream-client-/, '').replace(/^client-/, '');
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(chosen)) {
    throw new Error(
      `${JSON.stringify(chosen)} cannot be the type of a replica: use lower-case letters, digits and single hyphens, ` +
        'beginning with a letter, or name another one with --type',
    );
  }
  if (TAKEN.has(chosen)) {
    throw new Error(`replicas of type ${chosen} belong to Litestream's own client; name another type with --type`);
  }
  const pascal = chosen.split('-').map(capitalize).join('');
  const camel = pascal.charAt(0).toLowerCase() + pascal.slice(1);
  const packageName = scope !== '' || base.startsWith(PREFIX) ? scope + base : PREFIX + base;
  return {
    packageName,
    folder: packageName.slice(packageName.lastIndexOf('/') + 1),
    type: chosen,
    camel: RESERVED.test(camel) ? `${camel}Client` : camel,
    pascal,
  };
}

function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
