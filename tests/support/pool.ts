/** The pool of agents on its own, with the real CLI in front of the fake model. */
import type { TestContext } from 'node:test';
import { createAgents } from '../../src/agents/agents.ts';
import type { Access } from '../../src/agents/command-line.ts';
import { missingClaude } from '../../src/agents/find-claude.ts';
import { createPool, type PoolSettings } from '../../src/agents/pool/pool.ts';
import type { Containment } from '../../src/agents/sandbox/containment.ts';
import { listMarked } from '../../src/processes/process-tree.ts';
import type { AgentEvent, AgentStart, Message, Task } from '../../src/task.ts';
import { createWorkspaces, type WorkspaceSettings } from '../../src/workspaces/create.ts';
import { fakeModelAgent, scratchFolder } from './fake-model-agent.ts';
import { openRooms } from './rooms.ts';

type Overrides = {
  access?: Access;
  containment?: Containment;
  prewarmed?: Partial<PoolSettings['prewarmed']>;
  idle?: Partial<PoolSettings['idle']>;
};

export async function startPool(t: TestContext, overrides: Overrides = {}, workspace: Partial<WorkspaceSettings> = {}) {
  const { model, environment, claudeBin } = await fakeModelAgent(t);
  const dataDir = await scratchFolder(t);
  let identity = claudeBin;
  const agents = createAgents({
    findClaude: () => identity,
    missingClaude: () => missingClaude(identity),
    requireVersion: async () => {},
    access: overrides.access ?? 'edit',
    rooms: await openRooms(t, environment, overrides.containment),
    trustWorkspace: false,
    importSettings: false,
    modelRetries: { chat: 3, job: 10 },
    markerOf: (id) => `pool-test:${dataDir}:${process.pid}:${id}`,
    onUnknown: () => {},
    onForced: () => {},
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
  const pool = createPool(
    { workspaces, agents },
    {
      prewarmed: {
        count: 0,
        first: { budgetUsd: 2 },
        model: 'sonnet',
        maxAgeMs: 60_000,
        unusedMs: 60_000,
        onFailed: (error) => failures.push(error),
        ...overrides.prewarmed,
      },
      idle: { count: 2, maxIdleMs: 60_000, reset: true, maxTurns: 20, ...overrides.idle },
    },
  );
  t.after(async () => {
    await pool.destroy();
    await agents.destroy();
    await workspaces.close();
  });

  /** Runs a task as `runs/execute.ts` does. Returns how its agent was found, the result text, and the streamed text. */
  const run = async (
    task: Task,
    signal = new AbortController().signal,
  ): Promise<{ start: AgentStart; text: string; streamed: string }> => {
    const lease = await pool.lease(task, signal);
    let streamed = '';
    const onEvent = (event: AgentEvent) => {
      if (event.type === 'text') streamed += event.text;
    };
    try {
      const outcome = await lease.run(task, { signal, onEvent });
      return { start: lease.start, text: outcome.text, streamed };
    } finally {
      await lease.release();
    }
  };
  const replaceClaude = (path: string) => {
    identity = path;
  };
  /** The living processes of all agents, also of prewarmed and idle ones. */
  const processes = () => listMarked((marker) => marker.startsWith(`pool-test:${dataDir}:`));
  const lastRequest = () => JSON.stringify(model.asked().at(-1));
  return { model, run, failures, replaceClaude, processes, lastRequest };
}

let tasks = 0;

/** @param words the messages: the user's first, then the assistant's, and so on */
export function chat(words: string[], more: Partial<Task> = {}): Task {
  tasks += 1;
  const messages: Message[] = words.map((text, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    blocks: [{ type: 'text', text }],
  }));
  return {
    id: `run_${tasks}`,
    kind: 'chat',
    owner: 'alice',
    model: 'sonnet',
    reuse: 'kept',
    messages,
    limits: { runMs: 20_000, stallMs: 0, budgetUsd: 2 },
    ...more,
  };
}
