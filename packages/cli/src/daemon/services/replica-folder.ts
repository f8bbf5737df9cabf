import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { LitestreamError } from '@litestream/core';

/** Refuses a replica folder that can never be written to, before an application starts that relies on it. */
export function checkReplicaFolder(path: string): void {
  let folder = path;
  for (;;) {
    const stats = statOrNothing(folder);
    if (stats === 'missing' && folder !== dirname(folder)) {
      folder = dirname(folder);
      continue;
    }
    if (stats !== 'folder') throw notWritable(path, stats === 'denied' ? folder : undefined);
    break;
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw notWritable(path, folder);
  }
}

function statOrNothing(path: string): 'folder' | 'file' | 'missing' | 'denied' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return 'missing';
    if (code === 'ENOTDIR') return 'file';
    if (code === 'EACCES') return 'denied';
    throw error;
  }
}

/** @param denied The folder that may not be written to; undefined if a part of the path is a file. */
function notWritable(path: string, denied: string | undefined): LitestreamError {
  if (denied === undefined) {
    return new LitestreamError(`replica path is not writable: ${path}: a part of it is a file`, {
      code: 'CONFIG_INVALID',
      object: path,
      hint: 'Choose another path.',
    });
  }
  return new LitestreamError(`replica path is not writable: ${path}: permission denied in ${denied}`, {
    code: 'PERMISSION_DENIED',
    object: path,
    hint: 'Give this user write permission there, or choose another path.',
  });
}
