/** Whether Claude Code has a login or a key for a model. It asks the CLI itself, which knows every kind of login. */
import { randomUUID } from 'node:crypto';
import { runCommand } from '../processes/child-process.ts';
import { killTree } from '../processes/end-process.ts';
import type { Room, Rooms } from './sandbox/rooms.ts';

export type SignIn = {
  /** `key`: an API key or the credentials of a cloud provider; only a run shows whether they are accepted. */
  state: 'key' | 'login' | 'none' | 'unknown';
  /** For people: where the key comes from, the kind of login, or why the state is not known. */
  how: string;
};

/** The answer comes in about 0.2 s, and nothing is asked over the network. */
const timeoutMs = 10_000;

export type SignInQuestion = {
  claudeBin: string;
  /** The question is put in a room like that of an agent, so that the answer holds for agents. */
  rooms: Rooms;
  /** The tree marker of its processes, by which the next start finds them when this server is killed meanwhile. */
  marker?: string;
  signal?: AbortSignal;
};

/** Never rejects: without an answer the state is `unknown`. When it settles, no process of the command runs any more. */
export async function findSignIn({
  claudeBin,
  rooms,
  marker = `sign-in:${randomUUID()}`,
  signal,
}: SignInQuestion): Promise<SignIn> {
  let room: Room | undefined;
  try {
    room = await rooms.prepare(claudeBin);
    // An old CLI takes `auth` for a prompt, but the unknown flag stops it, so no model is asked.
    const { command, args } = room.enter(['auth', 'status', '--json']);
    const { stdout, stopped } = await runCommand(command, args, {
      cwd: '/',
      env: room.env,
      timeoutMs,
      signal,
      marker,
      onExit: killTree,
    });
    if (stopped) return { state: 'unknown', how: `"claude auth status" did not answer within ${timeoutMs / 1000} s` };
    const status = readStatus(JSON.parse(stdout.toString('utf8')));
    await room.remember();
    return status;
  } catch (error) {
    const name = (error as NodeJS.ErrnoException).code;
    return {
      state: 'unknown',
      how: name ? `claude cannot be started: ${name}` : '"claude auth status" gave no status',
    };
  } finally {
    room?.leave();
  }
}

type Status = {
  loggedIn?: boolean;
  authMethod?: string;
  apiProvider?: string;
  apiKeySource?: string;
  subscriptionType?: string | null;
};

function readStatus(status: Status): SignIn {
  if (status.loggedIn === false) return { state: 'none', how: 'no login and no API key' };
  if (status.loggedIn !== true) return { state: 'unknown', how: '"claude auth status" gave no status' };
  switch (status.authMethod) {
    case 'api_key':
    case 'api_key_helper':
      return { state: 'key', how: `API key from ${status.apiKeySource ?? 'the settings'}` };
    case 'third_party':
      return { state: 'key', how: `credentials for ${status.apiProvider ?? 'a cloud provider'}` };
    case 'claude.ai':
      return { state: 'login', how: `login${status.subscriptionType ? ` (${status.subscriptionType})` : ''}` };
    default:
      return { state: 'login', how: `login (${status.authMethod ?? 'of a kind not named'})` };
  }
}
