/** The completion scripts of the shells. They contain every command and flag, so a completion starts no process. */
import type { CompletedCommand } from './completed-commands.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, commands: readonly CompletedCommand[]): string {
  return { bash, zsh, fish }[shell](commands);
}

function bash(commands: readonly CompletedCommand[]): string {
  const withFlags = commands.filter(({ name }) => name !== 'completion');
  const cases = withFlags.map(({ name, flags }) => {
    return `    ${name}) flags=${quote(flags.map((flag) => flag.name).join(' '))} valued=${quote(
      flags
        .filter((flag) => flag.takesValue && !flag.isPath)
        .map((flag) => flag.name)
        .join(' '),
    )} ;;`;
  });
  const choices = withFlags.flatMap(({ name, flags }) => {
    return flags
      .filter(({ words }) => words.length > 0)
      .map((flag) => {
        const words = quote(flag.words.join(' '));
        return `    "${name} ${flag.name}") COMPREPLY=($(compgen -W ${words} -- "$current")); return ;;`;
      });
  });
  return `# bash completion for litestream
_litestream() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} flags= valued=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quote([...commands.map(({ name }) => name), 'help'].join(' '))} -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    completion) COMPREPLY=($(compgen -W ${quote(SHELLS.join(' '))} -- "$current")); return ;;
    help) COMPREPLY=($(compgen -W ${quote(commands.map(({ name }) => name).join(' '))} -- "$current")); return ;;
  esac
  case "\${COMP_WORDS[1]} $previous" in
${choices.join('\n')}
  esac
  case " $valued " in *" $previous "*) return ;; esac
  case $current in
    -*) COMPREPLY=($(compgen -W "$flags -h" -- "$current")) ;;
    *) local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current")); compopt -o filenames 2>/dev/null ;;
  esac
}
complete -F _litestream litestream
`;
}

function zsh(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`);
  const cases = commands.map(({ name, flags }) => {
    const specs = flags.map((flag) => {
      const choice = flag.words.length > 0 ? `:value:(${flag.words.join(' ')})` : ':value: ';
      const value = flag.isPath ? ':file:_files' : flag.takesValue ? choice : '';
      return ` ${quote(`*${flag.name}[${flag.about.replaceAll(/[[\]:]/g, String.raw`\$&`)}]${value}`)}`;
    });
    return `    ${name}) _arguments${specs.join('')} '-h[explain]' '*:file:${name === 'completion' ? '(bash zsh fish)' : '_files'}' ;;`;
  });
  return `#compdef litestream
# zsh completion for litestream
_litestream() {
  local -a commands
  commands=(
${names.join('\n')}
    'help:explain a command'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
    help) _arguments ${quote(`1:command:(${commands.map(({ name }) => name).join(' ')})`)} ;;
  esac
}
if [ "$funcstack[1]" = _litestream ]; then _litestream "$@"; else compdef _litestream litestream; fi
`;
}

function fish(commands: readonly CompletedCommand[]): string {
  const lines = ['# fish completion for litestream', 'complete -c litestream -f -n __fish_use_subcommand -a help'];
  for (const { name, summary, flags } of commands) {
    lines.push(`complete -c litestream -f -n __fish_use_subcommand -a ${name} -d ${fishQuote(summary)}`);
    const seen = `-n ${fishQuote(`__fish_seen_subcommand_from ${name}`)}`;
    for (const flag of flags) {
      const choice = flag.words.length > 0 ? ` -x -a ${fishQuote(flag.words.join(' '))}` : ' -x';
      const value = flag.isPath ? ' -r -F' : flag.takesValue ? choice : '';
      lines.push(`complete -c litestream ${seen} -o ${flag.name.slice(1)}${value} -d ${fishQuote(flag.about)}`);
    }
    if (name === 'completion') lines.push(`complete -c litestream -f ${seen} -a ${fishQuote(SHELLS.join(' '))}`);
  }
  return `${lines.join('\n')}\n`;
}

/** For bash and zsh. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
