/** Settings of the workspace that agents work in. */
import { choice, decimal, integer, optionalText } from './setting.ts';

export const workspaceSettings = {
  workspaceDir: optionalText(
    'WORKSPACE_DIR',
    'The git repository in which agents work. Unset: every run gets an empty folder.',
  ),
  workspaceMode: choice(
    'WORKSPACE_MODE',
    'auto',
    ['auto', 'worktree', 'shared'],
    'Where in the repository agents work. `worktree`: each run in a git worktree of its own. `shared`: in the folder itself, one run at a time. `auto`: `worktree` in a git repository, else `shared`.',
  ),
  gitSync: choice(
    'GIT_SYNC',
    'best-effort',
    ['best-effort', 'required', 'off'],
    'Whether the workspace is updated from its remote before a run. `best-effort`: a run starts even if the update fails. `required`: the run then fails.',
  ),
  gitSyncTimeoutSeconds: decimal('GIT_SYNC_TIMEOUT_SECONDS', 30, [1, 3600], 'The time limit of one update.'),
  gitSyncFreshSeconds: decimal(
    'GIT_SYNC_FRESH_SECONDS',
    5,
    [0, 3600],
    'How long runs in worktrees use the same update. With 0 every run asks the remote.',
  ),
  preparedWorktrees: integer('PREPARED_WORKTREES', 2, [0, 64], 'How many worktrees are made before a run needs them.'),
};
