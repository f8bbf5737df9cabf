export { fileAccess } from './file-access.ts';
