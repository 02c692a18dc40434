/** What an agent can write into its index, and what is below a folder. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { git } from '../support/git-repositories.ts';

export const filesBelow = (folder: string) => execFileSync('find', [folder, '-type', 'f'], { encoding: 'utf8' });

/** Adds an entry to the index of the agent, as `git update-index --cacheinfo` does, but without any check of the path. */
export function addToIndex(folder: string, path: string, mode = '100644'): void {
  const oid = mode === '160000' ? 'a'.repeat(40) : git(folder, 'hash-object', '-w', 'a.txt');
  // Git checks paths by their names, so a path with the same length is replaced in the file.
  const plain = path.replaceAll('..', '__').replace(/^\//, '_');
  git(folder, 'update-index', '--add', '--cacheinfo', `${mode},${oid},${plain}`);
  if (plain === path) return;
  const program = [
    'import hashlib,sys',
    'file,old,new=sys.argv[1:]',
    'data=open(file,"rb").read()[:-20].replace(old.encode(),new.encode())',
    'open(file,"wb").write(data+hashlib.sha1(data).digest())',
  ].join('\n');
  execFileSync('python3', ['-c', program, join(folder, '.git/index'), plain, path]);
}
