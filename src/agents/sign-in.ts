/** Whether Claude Code can reach a model in the name of its user: asks the CLI itself, which knows every way there is. */
import { randomUUID } from 'node:crypto';
import { runCommand } from '../processes/child-process.ts';
import { killTree } from '../processes/end-process.ts';
import type { Room, Rooms } from './sandbox/rooms.ts';

export type SignIn = {
  /** `key`: an API key or a cloud provider's credentials; whether they are accepted only a run can tell. */
  state: 'key' | 'login' | 'none' | 'unknown';
  /** For people: where the key comes from, which login, or why it is not known. */
  how: string;
};

/** The answer comes in about 0.2 s, and nothing is asked over the network. */
const timeoutMs = 10_000;

export type SignInQuestion = {
  claudeBin: string;
  /** It is asked where agents run, so that it tells what they would find. */
  rooms: Rooms;
  /** By which the next start finds what is left when this process is killed meanwhile. */
  marker?: string;
  signal?: AbortSignal;
};

/** Never rejects: what cannot be found out is `unknown`. Nothing of the command's tree runs any more when it settles. */
export async function findSignIn({
  claudeBin,
  rooms,
  marker = `sign-in:${randomUUID()}`,
  signal,
}: SignInQuestion): Promise<SignIn> {
  let room: Room | undefined;
  try {
    room = await rooms.prepare(claudeBin);
    // An old CLI takes `auth` for a prompt but stops at the flag, so that nothing is ever asked of a model.
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
