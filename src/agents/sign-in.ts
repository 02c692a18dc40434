/**
 * Finds out whether Claude Code has a login or a key for a model. Asks the CLI itself, which knows every kind of login.
 */
import { randomUUID } from 'node:crypto';
import { runCommand } from '../processes/child-process.ts';
import { killTree } from '../processes/end-process.ts';
import type { Room, Rooms } from './sandbox/rooms.ts';

export type SignIn = {
  /** `key` means an API key or the credentials of a cloud provider. Only a run shows whether they are accepted. */
  state: 'key' | 'login' | 'none' | 'unknown';
  /** A text for people: where the key comes from, the kind of login, or why there is none or the state is not known. */
  how: string;
};

/** How long the CLI may take to answer, in milliseconds. It takes about 0.2 s, and asks nothing over the network. */
const timeoutMs = 10_000;

export type SignInQuestion = {
  claudeBin: string;
  /**
   * Prepares the home, variables and sandbox in which the CLI is asked. They are like those of an agent, so the answer
   * holds for agents too.
   */
  rooms: Rooms;
  /**
   * The text that marks the processes of the CLI. If this server is killed, its next start finds and ends the processes
   * by it.
   */
  marker?: string;
  signal?: AbortSignal;
};

/**
 * Asks the CLI whether it is signed in. Returns the state `unknown` if the CLI gives no answer, and never rejects. No
 * process of the CLI runs any more when the promise settles.
 */
export async function findSignIn({
  claudeBin,
  rooms,
  marker = `sign-in:${randomUUID()}`,
  signal,
}: SignInQuestion): Promise<SignIn> {
  let room: Room | undefined;
  try {
    room = await rooms.prepare(claudeBin);
    // An old CLI takes `auth` for a prompt, but does not know the flag `--json` and stops before it asks a model.
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
      return { state: 'login', how: `login (${status.authMethod ?? 'of an unknown kind'})` };
  }
}
