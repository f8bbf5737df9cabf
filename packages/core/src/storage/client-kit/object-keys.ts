import { posix } from 'node:path';

import type { LtxFileInfo, LtxFileRef } from '../contract/contract.ts';
import { LEVELS } from '../contract/levels.ts';
import { ltxObjectName, parseLtxObjectName, parseObjectTime } from '../contract/object-names.ts';
import type { KeyScheme, StoredObject } from './object-store.ts';

/** The folder of the LTX files below a path, with its slash: `app/ltx/`. */
export function ltxFolder(path: string): string {
  return posix.join(path, 'ltx', '/');
}

/** The key of an object below a path. */
export function keyBelow(path: string, key: string): string {
  return path === '' ? key : `${path}/${key}`;
}

/** Makes and parses the keys of a replica's objects. */
export class ObjectKeys {
  /** Prefix of the key of every LTX file. */
  readonly folder: string;
  /** Prefix of the keys of all levels. */
  readonly levelsPrefix: string;
  readonly #scheme: KeyScheme;
  /** Names of the levels' folders, by level. */
  readonly #levelNames: readonly string[];
  readonly #anyLevel: RegExp;

  constructor(scheme: KeyScheme) {
    const { folder, levelDigits = 1 } = scheme;
    this.#scheme = scheme;
    this.folder = folder;
    this.levelsPrefix = folder + '0'.repeat(levelDigits - 1);
    this.#levelNames = LEVELS.map((level) => level.toString(16).padStart(levelDigits, '0'));
    this.#anyLevel = levelDigits === 1 ? /^\d+\/[^/]+$/ : /^[0-9a-f]{4}\/[^/]+$/;
  }

  /** Folder of a level, with its slash. */
  levelFolder(level: number): string {
    return `${this.folder}${this.#levelNames[level]}/`;
  }

  ltxKey(file: LtxFileRef): string {
    return this.levelFolder(file.level) + ltxObjectName(file);
  }

  /** Whether this is the key of an LTX file, at any level. */
  isLtxKey(key: string): boolean {
    return this.#isInLevel(key) && parseLtxObjectName(key) !== undefined;
  }

  objectKey(key: string): string {
    return this.#scheme.objectKey?.(key) ?? key;
  }

  /** The LTX file that this object is; undefined for other objects, and for deletion marks. */
  fileOf(object: StoredObject): LtxFileInfo | undefined {
    const { key, size, version, time, createdAt, lastModified, isDeleted = false } = object;
    const txids = this.#isInLevel(key) && !isDeleted ? parseLtxObjectName(key) : undefined;
    const level = this.#levelNames.indexOf(key.slice(this.folder.length, key.lastIndexOf('/')));
    if (level < 0 || txids === undefined) return undefined;
    return { level, ...txids, size, timestamp: parseObjectTime(time) ?? createdAt ?? lastModified, version };
  }

  #isInLevel(key: string): boolean {
    return key.startsWith(this.folder) && this.#anyLevel.test(key.slice(this.folder.length));
  }
}
