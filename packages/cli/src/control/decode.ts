/** Decodes request bodies, with the error messages of Litestream (Go). */

export type FieldType = 'string' | 'int' | 'bool';

/** Name of the Go type, and its fields. */
export interface BodyType<Fields extends Record<string, FieldType>> {
  readonly name: string;
  readonly fields: Fields;
}

export type BodyOf<Fields extends Record<string, FieldType>> = {
  readonly [Name in keyof Fields]: Fields[Name] extends 'string'
    ? string
    : Fields[Name] extends 'int'
      ? number
      : boolean;
};

/** The body cannot be decoded; the message gives the reason. */
export class BodyError extends Error {
  override readonly name = 'BodyError';
}

const ZERO = { string: '', int: 0, bool: false } as const;

/** Fields that are missing or null get their zero value; unknown fields are ignored. */
export function decodeBody<Fields extends Record<string, FieldType>>(
  text: string,
  type: BodyType<Fields>,
): BodyOf<Fields> {
  const parsed = parse(text);
  if (parsed !== null && (typeof parsed !== 'object' || Array.isArray(parsed))) {
    throw new BodyError(`json: cannot unmarshal ${kindOf(parsed)} into Go value of type litestream.${type.name}`);
  }
  // Go matches the names of fields in any case.
  const given = new Map(Object.entries(parsed ?? {}).map(([key, value]) => [key.toLowerCase(), value as unknown]));
  return Object.fromEntries(
    Object.entries(type.fields).map(([field, wanted]) => {
      const value = given.get(field) ?? ZERO[wanted];
      if (!fits(value, wanted)) {
        const what = typeof value === 'number' && wanted === 'int' ? `number ${value}` : kindOf(value);
        throw new BodyError(
          `json: cannot unmarshal ${what} into Go struct field ${type.name}.${field} of type ${wanted}`,
        );
      }
      return [field, value];
    }),
  ) as BodyOf<Fields>;
}

/** The first JSON value of the text; what follows it is ignored, as Go's decoder does. */
function parse(text: string): unknown {
  const body = text.trimStart();
  if (body === '') throw new BodyError('EOF');
  try {
    return JSON.parse(body) as unknown;
  } catch (error) {
    const end = endOfObject(body) ?? body.length;
    const first = end === body.length ? undefined : tryParse(body.slice(0, end));
    if (first !== undefined) return first;
    if (!/^[[{"\-\dtfn]/.test(body)) {
      throw new BodyError(`invalid character '${body.charAt(0)}' looking for beginning of value`);
    }
    throw new BodyError(isCutOff(error) ? 'unexpected EOF' : 'invalid character in JSON');
  }
}

function isCutOff(error: unknown): boolean {
  return error instanceof SyntaxError && /end of JSON|Unterminated|after property|double-quoted/i.test(error.message);
}

/** Offset after the object at the start of the text; undefined if the object does not end. Reads each character once. */
function endOfObject(text: string): number | undefined {
  if (!text.startsWith('{')) return undefined;
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (char === '\\') index += 1;
    else if (char === '"') isInString = !isInString;
    else if (!isInString && char === '{') depth += 1;
    else if (!isInString && char === '}') depth -= 1;
    if (depth === 0) return index + 1;
  }
  return undefined;
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function fits(value: unknown, wanted: FieldType): boolean {
  if (wanted === 'int') return typeof value === 'number' && Number.isSafeInteger(value);
  return typeof value === (wanted === 'bool' ? 'boolean' : wanted);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
