/** What goes wrong on the way to a folder, as the client is to read it. */
import { GitError } from './git/git.ts';
import { unavailable } from './workspaces.ts';

/** The signal's reason comes before what its abort has broken. */
export async function preparing<T>(step: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof GitError) throw unavailable(error.message, error);
    if (error instanceof Error && 'syscall' in error) throw unavailable('its folder could not be made', error);
    throw error;
  }
}
