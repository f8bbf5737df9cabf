/** The kinds of values that a config holds, each with a sentence about the key. */
import { z } from 'zod';
import { parseDuration } from '../../units/duration.ts';
import { parseSize } from '../../units/size.ts';

/**
 * Key of `meta` that describes a value to editors beyond its type: `text`, `boolean`, `choice`, `duration`, `size`,
 * `octal` (YAML 1.2 reads 0600 as six hundred), `open` (a section that may have other keys).
 */
export const EDITOR_TYPE = 'x-litestream-type';

/** Text. YAML that looks like a number counts as its digits. */
export function text(about: string): z.ZodOptional<z.ZodString> {
  return z
    .string()
    .meta({ description: about, [EDITOR_TYPE]: 'text' })
    .optional();
}

export function texts(about: string): z.ZodOptional<z.ZodArray<z.ZodString>> {
  return z.array(z.string()).describe(about).optional();
}

export function boolean(about: string): z.ZodOptional<z.ZodBoolean> {
  return z
    .boolean()
    .meta({ description: about, [EDITOR_TYPE]: 'boolean' })
    .optional();
}

/** True, or a section with details. */
export function switchable<T extends z.ZodObject>(
  section: T,
  about: string,
): z.ZodOptional<z.ZodUnion<readonly [z.ZodBoolean, T]>> {
  return z
    .union([z.boolean().meta({ [EDITOR_TYPE]: 'boolean' }), section])
    .meta({ description: about, [EDITOR_TYPE]: 'switch' })
    .optional();
}

/** A whole number; bounds and `optional()` follow. */
export function count(about: string): z.ZodInt {
  return z.int().describe(about);
}

/** One of these words. A later check refuses others, with a message of its own. */
export function choice(words: readonly string[], about: string): z.ZodOptional<z.ZodString> {
  return z
    .string()
    .meta({ description: about, [EDITOR_TYPE]: 'choice', enum: words })
    .optional();
}

type Scalar = z.ZodPipe<z.ZodString, z.ZodTransform<number, string>>;

/** A duration in Go's notation, in milliseconds. */
export function duration(about: string): z.ZodOptional<Scalar> {
  return scalar(
    about,
    'duration',
    (value) => parseDuration(value) ?? nanoseconds(value),
    'a duration, write it like 500ms, 30s or 1h30m',
  );
}

/** A duration with its unit, as text. An invalid one is not an error here: the config decides what it means. */
export function lenientDuration(about: string): z.ZodOptional<z.ZodUnknown> {
  return z
    .unknown()
    .meta({ description: about, [EDITOR_TYPE]: 'duration' })
    .optional();
}

/** A size in bytes. */
export function size(about: string): z.ZodOptional<Scalar> {
  return scalar(about, 'size', parseSize, 'a size, write it like 512KB, 5MB or 64MiB');
}

function scalar(
  about: string,
  type: string,
  parse: (value: string) => number | undefined,
  what: string,
): z.ZodOptional<Scalar> {
  const kind = z.string().transform((value, context) => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: `cannot read "${value}" as ${what}` });
    return z.NEVER;
  });
  return kind.meta({ description: about, [EDITOR_TYPE]: type }).optional();
}

/** Go reads a number without a unit as nanoseconds; old configs may have one. */
function nanoseconds(value: string): number | undefined {
  return /^\d+$/.test(value) ? Number(value) / 1e6 : undefined;
}
