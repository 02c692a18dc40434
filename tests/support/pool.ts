/** The seats of the server on their own, with the real CLI in front of the fake model. */
import type { TestContext } from 'node:test';
import { createAgents } from '../../src/agents/agents.ts';
import type { Access } from '../../src/agents/command-line.ts';
import { missingClaude } from '../../src/agents/find-claude.ts';
import { createSeats, type SeatSettings, type Start } from '../../src/agents/pool/pool.ts';
import type { Containment } from '../../src/agents/sandbox/containment.ts';
import { listMarked } from '../../src/processes/process-tree.ts';
import type { AgentEvent, Message, Task } from '../../src/task.ts';
import { createWorkspaces, type WorkspaceSettings } from '../../src/workspaces/create.ts';
import { fakeModelAgent, scratchFolder } from './fake-model-agent.ts';
import { openRooms } from './rooms.ts';

type Overrides = {
  access?: Access;
  containment?: Containment;
  spares?: Partial<SeatSettings['spares']>;
  resting?: Partial<SeatSettings['resting']>;
};

export async function startSeats(
  t: TestContext,
  overrides: Overrides = {},
  workspace: Partial<WorkspaceSettings> = {},
) {
  const { model, environment, claudeBin } = await fakeModelAgent(t);
  const dataDir = await scratchFolder(t);
  let identity = claudeBin;
  const agents = createAgents({
    findClaude: () => identity,
    missingClaude: () => missingClaude(identity),
    access: overrides.access ?? 'edit',
    rooms: await openRooms(t, environment, overrides.containment),
    trustWorkspace: false,
    importSettings: false,
    markerOf: (id) => `kept-agents-test:${dataDir}:${process.pid}:${id}`,
    onUnknown: () => {},
  });
  const workspaces = await createWorkspaces({
    workspaceDir: undefined,
    workspaceMode: 'auto',
    gitSync: 'off',
    gitSyncTimeoutMs: 1000,
    syncFreshMs: 5000,
    preparedWorktrees: 2,
    dataDir,
    environment,
    ...workspace,
  });
  const failures: unknown[] = [];
  const seats = createSeats(
    { workspaces, agents },
    {
      spares: {
        count: 0,
        first: { budgetUsd: 2 },
        model: 'sonnet',
        maxAgeMs: 60_000,
        idleMs: 60_000,
        onFailed: (error) => failures.push(error),
        ...overrides.spares,
      },
      resting: { count: 2, restMs: 60_000, recycle: true, maxTurns: 20, ...overrides.resting },
    },
  );
  t.after(async () => {
    await seats.destroy();
    await agents.destroy();
    await workspaces.close();
  });

  /** Runs a task as `run-task.ts` does; answers how its agent came to be, and its text. */
  const run = async (
    task: Task,
    signal = new AbortController().signal,
  ): Promise<{ start: Start; text: string; told: string }> => {
    const seat = await seats.take(task, signal);
    let told = '';
    const onEvent = (event: AgentEvent) => {
      if (event.type === 'text') told += event.text;
    };
    try {
      const outcome = await seat.run(task, { signal, onEvent });
      return { start: seat.start, text: outcome.text, told };
    } finally {
      await seat.release();
    }
  };
  const replaceClaude = (path: string) => {
    identity = path;
  };
  /** The living processes of all agents, waiting ones included. */
  const processes = () => listMarked((marker) => marker.startsWith(`kept-agents-test:${dataDir}:`));
  const lastRequest = () => JSON.stringify(model.asked().at(-1));
  return { model, run, failures, replaceClaude, processes, lastRequest };
}

let tasks = 0;

/** @param words what was said, the user first, in turn */
export function chat(words: string[], more: Partial<Task> = {}): Task {
  tasks += 1;
  const turns: Message[] = words.map((text, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    blocks: [{ type: 'text', text }],
  }));
  return {
    id: `run_${tasks}`,
    kind: 'chat',
    owner: 'alice',
    model: 'sonnet',
    launch: 'session',
    messages: turns,
    limits: { runMs: 20_000, stallMs: 0, budgetUsd: 2 },
    ...more,
  };
}
