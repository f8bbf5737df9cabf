/** What to tell who asks for a backend that nothing brings: never to install a package that does not exist. */
import { isAbsolute, resolve } from 'node:path';
import { LitestreamError } from '../error.ts';
import { nearest } from '../nearest.ts';
import { findPackage } from './find-package.ts';

/** Packages of this project by the types and schemes they answer to, those of upstream's configs and URLs. */
export const PACKAGES: ReadonlyMap<string, string> = new Map([
  ['abs', '@litestream/client-abs'],
  ['gcs', '@litestream/client-gcs'],
  ['gs', '@litestream/client-gcs'],
  ['nats', '@litestream/client-nats'],
  ['oss', '@litestream/client-oss'],
  ['s3', '@litestream/client-s3'],
  ['sftp', '@litestream/client-sftp'],
  ['webdav', '@litestream/client-webdav'],
  ['webdavs', '@litestream/client-webdav'],
]);

const NAMED = 'under plugins: in the config, with -plugin, or in the plugins of new Litestream({ plugins })';

/**
 * No plugin answers to this type or scheme.
 *
 * @param registered what plugins that are there answer to
 * @param folders where packages were looked for; none if they were not
 */
export function missingBackend(
  type: string,
  registered: Iterable<string>,
  folders: readonly string[],
): LitestreamError {
  const packageName = PACKAGES.get(type);
  if (packageName !== undefined) {
    return new LitestreamError(`the client for replicas of type ${type} is not installed`, {
      code: 'PLUGIN_MISSING',
      object: packageName,
      hint: `Run: npm i ${packageName}`,
    });
  }
  return new LitestreamError(`no known package handles replicas of type ${type}`, {
    code: 'PLUGIN_MISSING',
    object: type,
    hint: hintFor(type, registered, folders),
  });
}

function hintFor(type: string, registered: Iterable<string>, folders: readonly string[]): string {
  const foreign = `litestream-client-${type}`;
  if (/^[a-z0-9.-]+$/.test(type) && findPackage(foreign, folders) !== undefined) {
    return `${foreign} is installed, and has to be named: ${NAMED}.`;
  }
  const known = [...new Set([...PACKAGES.keys(), ...registered])].sort();
  const meant = nearest(type, known);
  const question = meant === undefined ? '' : `Did you mean ${meant}? `;
  const list = `${known.slice(0, -1).join(', ')} and ${known.at(-1) ?? ''}`;
  return `${question}Known are ${list}. A client from elsewhere has to be named: ${NAMED}.`;
}

/** A plugin that somebody named is not there. */
export function missingPlugin(name: string, folder: string): LitestreamError {
  if (name.startsWith('.') || isAbsolute(name)) {
    return new LitestreamError(`there is no plugin at ${resolve(folder, name)}`, {
      code: 'PLUGIN_MISSING',
      object: name,
      hint: 'Name the file of a plugin, or the folder of its package. A relative path starts from the folder of the config.',
    });
  }
  return new LitestreamError(`plugin ${name} is not installed`, {
    code: 'PLUGIN_MISSING',
    object: name,
    hint: `Run: npm i ${name}`,
  });
}
