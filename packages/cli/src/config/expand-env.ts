/**
 * `$NAME` and `${NAME}` in a config, the way Go expands them: an unset variable is empty, `$PID` is this process, a `$`
 * that no name follows stays, and there is no way to escape one but `-no-expand-env`.
 */
export function expandEnv(text: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  return text.replaceAll(
    /\$(?:\{([^}]*)\}|([A-Za-z_]\w*)|([*#$@!?\-0-9])|(\{))?/g,
    (whole, braced, plain, special, open) => {
      if (open !== undefined) return '';
      const name = [braced, plain, special].find((each) => typeof each === 'string');
      if (name === undefined) return whole;
      return name === 'PID' ? String(process.pid) : (env[name] ?? '');
    },
  );
}
