import { UsageError } from '../util/usage-error.ts';
import { SHELLS, completionScript } from './completion-script.ts';
import { completedCommands } from './completed-commands.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';

export const command: Command = defineCommand({
  name: 'completion',
  help: {
    about: 'Prints a script that lets a shell complete commands, flags and files.',
    usage: ['completion bash|zsh|fish'],
    examples: [
      {
        about: 'For bash, in the folder where bash-completion looks.',
        line: 'completion bash >~/.local/share/bash-completion/completions/litestream',
      },
      { about: 'For zsh, in a folder of its $fpath.', line: 'completion zsh >~/.zfunc/_litestream' },
      { about: 'For fish.', line: 'completion fish >~/.config/fish/completions/litestream.fish' },
    ],
  },
  flags: {},
  async run({ args }, { terminal, commands }) {
    const attempt = 'litestream completion bash';
    const [name, ...more] = args;
    if (name === undefined) throw new UsageError('shell required: bash, zsh or fish', attempt);
    if (more.length > 0) throw new UsageError('too many arguments', attempt);
    const shell = SHELLS.find((each) => each === name);
    if (shell === undefined) throw new UsageError(`unknown shell "${name}": use bash, zsh or fish`, attempt);
    terminal.out(completionScript(shell, await completedCommands(commands)));
    return 0;
  },
});
