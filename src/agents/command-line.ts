/** The command line of `claude` for a task. */
import type { Task } from '../task.ts';
import type { Fixed } from './agent.ts';

export type Access = 'read' | 'edit' | 'full';

/** Linux takes 128 KiB in one argument, its terminating NUL included; beyond that `execve` fails with E2BIG. */
const maxArgumentBytes = 128 * 1024 - 1;

/**
 * The prompt of a task that can be the last argument: a single text that fits. `undefined`: the task goes over stdin.
 * The CLI runs a prompt that begins with `/` as a command of its own; white space before it makes it plain text (measured
 * on 2.1.329).
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

/** The arguments for a process with one run. It reads no input, and its stdin must be closed: an open one costs 3 s. */
export function argumentCommand(task: Task, access: Access, project: string[], prompt: string): string[] {
  const effort = task.effort ? ['--effort', task.effort] : [];
  return [...common(fixedOf(task), access, task.model), ...project, ...effort, '--', prompt];
}

/** The arguments for a process that takes messages over stdin. */
export function sessionCommand(fixed: Fixed, access: Access, project: string[], model: string): string[] {
  return [...common(fixed, access, model), ...project, '--input-format', 'stream-json', '--include-partial-messages'];
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
  ];
}

/** Nobody can answer a permission prompt: a tool that needs one is refused, and the agent gets that as the result. */
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
