/** The folder of a `file:` URL, as Litestream (Go) reads it. */
import { posix } from 'node:path';
import { LitestreamError, redact } from '@litestream/core';

const FILE_URL = /^file:/i;

/** Also true without `//`: Litestream (Go) accepts `file:backups/app`. */
export function isFileUrl(text: string): boolean {
  return FILE_URL.test(text);
}

/**
 * The path, relative only if the URL has no slash at its start. A host is a part of the path: `file://data/app` is
 * `/data/app`. Characters that a URL must escape are escaped in the path: `file:///my backups` is `/my%20backups`.
 *
 * @throws LitestreamError `CONFIG_INVALID` for a broken escape, or without a path.
 */
export function pathOfFileUrl(url: string): string {
  const rest = url.replace(FILE_URL, '').replace(/^([^#?]*)\?[^#]*/, '$1');
  if (/^[/]*$/.test(rest)) {
    throw new LitestreamError(`file replica path required: ${redact(url)}`, {
      code: 'CONFIG_INVALID',
      hint: 'Write it as file:///path/to/replica.',
    });
  }
  if (/%(?![0-9a-f]{2})/i.test(rest)) {
    const [escape = '%'] = url.includes('@') ? [] : (/%(?![0-9a-f]{2}).{0,2}/i.exec(rest) ?? []);
    // Text before an @ may be the password of a mistyped URL.
    const shown = url.includes('@') ? 'file://…' : redact(url);
    throw new LitestreamError(`parse "${shown}": invalid URL escape "${escape}"`, {
      code: 'CONFIG_INVALID',
      hint: 'Write a percent sign as %25, or give the folder as a path.',
    });
  }
  return posix.normalize(isBare(rest) ? rest : escaped(rest));
}

/** A warning about a URL that may not mean what the user expects: its host is a folder, or a # ends its path. */
export function urlWarning(url: string): string | undefined {
  if (!isFileUrl(url) && /^[a-z][\w+.-]*:\/\/(?!arn:)[^#]*#/i.test(url)) {
    return `the text after # in ${redact(url)} is not part of the path: write # as %23`;
  }
  const [, host] = /^file:\/\/([^/?#]+)/i.exec(url) ?? [];
  if (host === undefined) return undefined;
  // Text that looks like a password may be one, though a file URL has none.
  if (url.includes('@')) return 'a file URL has no user and no host: the text before the first / is part of the path';
  const path = pathOfFileUrl(url);
  return `${url} means the folder ${path}: write it as file://${path}`;
}

function isBare(path: string): boolean {
  return /^(?:[\w\-.~!$&'()*+,;=:@[\]/#]|%[0-9a-f]{2})*$/i.test(path);
}

function escaped(path: string): string {
  return encodeURIComponent(decodeURIComponent(path))
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll(/%(24|26|2B|2C|2F|3A|3B|3D|40)/g, (code) => decodeURIComponent(code));
}
