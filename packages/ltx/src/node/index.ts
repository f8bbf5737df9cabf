export { fileAccess } from './file-access.ts';
export { mergeLtxFiles } from './merge-files.ts';
export type { MergeFile, MergeFilesOptions } from './merge-files.ts';
