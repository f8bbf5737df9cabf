import { dirname } from 'node:path';

/** The root folder of this repository. */
export const repositoryRoot: string = dirname(import.meta.dirname);

export const REPOSITORY_URL = 'https://github.com/litestream-ts/litestream-ts';
