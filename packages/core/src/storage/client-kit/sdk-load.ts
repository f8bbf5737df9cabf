import { LitestreamError } from '../../util/error.ts';

/**
 * Loads a client's SDK on first use, with a clear error if it is not installed.
 *
 * @param sdk the npm package, for the message
 * @param load imports it: a literal `() => import('…')`, so that bundlers see it
 */
export async function loadSdk<T>(sdk: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new LitestreamError(`${sdk} is not installed`, {
      code: 'PLUGIN_SDK_MISSING',
      hint: `Run: npm i ${sdk}`,
      cause: error,
    });
  }
}
