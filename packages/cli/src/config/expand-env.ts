type Env = Readonly<Record<string, string | undefined>>;

/** `$`, and what may follow it: `{NAME}`, `NAME`, a special sign, or a brace that is not closed. */
const VARIABLE = /\$(?:\{([^}]*)\}|([A-Za-z_]\w*)|([*#$@!?\-0-9])|(\{))?/g;

/** The most warnings for one config. */
const WARNINGS_MAX = 20;

/**
 * Expands `$NAME` and `${NAME}` in a config as Go does: an unset variable is empty, `$PID` is the id of this process, and a
 * `$` without a name stays. Only `-no-expand-env` keeps a `$` before a name.
 */
export function expandEnv(text: string, env: Env = process.env): string {
  return text.replaceAll(VARIABLE, (whole, braced, plain, special, open) => {
    if (open !== undefined) return '';
    const name = [braced, plain, special].find((each) => typeof each === 'string');
    if (name === undefined) return whole;
    return name === 'PID' ? String(process.pid) : (env[name] ?? '');
  });
}

/** A warning for each unset variable outside comments, which `expandEnv` replaces by nothing. */
export function unsetVariables(text: string, file: string, env: Env = process.env): string[] {
  const warnings = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    for (const [whole, braced, plain, special] of uncommented(line).matchAll(VARIABLE)) {
      const name = braced ?? plain ?? special;
      if (name === undefined || name === 'PID' || env[name] !== undefined) continue;
      warnings.add(`${file}:${index + 1}: ${described(whole, name)}: it is replaced by nothing`);
      if (warnings.size >= WARNINGS_MAX) return [...warnings];
    }
  }
  return [...warnings];
}

function uncommented(line: string): string {
  const start = line.search(/(?:^|\s)#/);
  return start === -1 ? line : line.slice(0, start);
}

/** The text after a `$` may be the rest of a password, which no log may hold. */
function described(whole: string, name: string): string {
  const isMeant = whole.startsWith('${') || /^[A-Z_][A-Z0-9_]*$/.test(name);
  if (isMeant) return `variable ${name} is not set`;
  return 'a $ stands before the name of no variable that is set (-no-expand-env keeps it)';
}
