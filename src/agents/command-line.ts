/** Builds the command line of `claude` for a task. */
import type { Task } from '../task.ts';
import type { Fixed } from './agent.ts';

export type Access = 'read' | 'edit' | 'full';

/**
 * The longest argument that Linux accepts, in bytes, without its final NUL. `execve` fails with E2BIG if an argument is
 * longer.
 */
const maxArgumentBytes = 128 * 1024 - 1;

/**
 * Returns the prompt if it can be the last argument: if the task is a single text that fits. Returns undefined if the
 * task must go over stdin. The CLI would run a prompt that begins with `/` as its own command; a line break before the
 * `/` makes the prompt plain text (measured on 2.1.329).
 */
export function promptArgument(task: Task): string | undefined {
  const [message] = task.messages;
  const [block] = message?.blocks ?? [];
  if (task.messages.length !== 1 || message?.blocks.length !== 1) return undefined;
  if (block?.type !== 'text' || task.system !== undefined || task.outputSchema !== undefined) return undefined;
  const text = block.text.startsWith('/') ? `\n${block.text}` : block.text;
  const fits = Buffer.byteLength(text) <= maxArgumentBytes && !text.includes('\0');
  return fits && text.trim() !== '' ? text : undefined;
}

/**
 * Returns the arguments for a process that serves one run. Its stdin must be closed: the CLI waits 3 s if stdin is
 * open.
 */
export function argumentCommand(task: Task, access: Access, project: string[], prompt: string): string[] {
  const effort = task.effort ? ['--effort', task.effort] : [];
  return [...common(fixedOf(task), access, task.model), ...project, ...effort, '--', prompt];
}

/** Returns the arguments for a process that takes messages over stdin. */
export function sessionCommand(fixed: Fixed, access: Access, project: string[], model: string): string[] {
  return [...common(fixed, access, model), ...project, '--input-format', 'stream-json'];
}

export function fixedOf(task: Task): Fixed {
  return { agent: task.agent, budgetUsd: task.limits.budgetUsd };
}

function common(fixed: Fixed, access: Access, model: string): string[] {
  return [
    '-p',
    '--output-format',
    'stream-json',
    '--verbose',
    '--model',
    model,
    ...(fixed.agent ? ['--agent', fixed.agent] : []),
    '--max-budget-usd',
    String(fixed.budgetUsd),
    ...accessFlags(access),
    '--no-session-persistence',
    '--include-partial-messages',
  ];
}

/**
 * Returns the permission flags. Nobody can answer a permission prompt, so a tool that needs permission is refused, and
 * the agent gets the refusal as the result of the tool.
 */
function accessFlags(access: Access): string[] {
  switch (access) {
    case 'read':
      return [
        '--permission-mode',
        'dontAsk',
        '--disallowedTools',
        'Bash,Edit,Write,NotebookEdit',
        '--permission-prompts',
        'none',
      ];
    case 'edit':
      return ['--permission-mode', 'acceptEdits', '--permission-prompts', 'none'];
    case 'full':
      return ['--dangerously-skip-permissions'];
  }
}
