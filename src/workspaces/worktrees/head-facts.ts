/** What all worktrees of a head have in common: asked of git once, not for each of them. */
import { type Git, mustGit } from '../git/git.ts';
import type { SyncedHead } from './start-point.ts';

export type Ref = { id: string; symbolic: string; name: string };

export type HeadFacts = {
  /** None in a repository without commits. */
  tree: string | undefined;
  /** Remote branches and tags, as an agent is to see them. */
  refs: Ref[];
  /** What an agent does not find in its worktree. */
  notes: string[];
};

/** More than this many remote branches and tags are not shown to an agent. */
const mostRefs = 10_000;
const quick = { timeoutMs: 10_000 };

const known = new WeakMap<SyncedHead, Promise<HeadFacts>>();

export function factsOf(git: Git, head: SyncedHead): Promise<HeadFacts> {
  const facts = known.get(head) ?? ask(git, head);
  known.set(head, facts);
  facts.catch(() => known.delete(head));
  return facts;
}

async function ask(git: Git, head: SyncedHead): Promise<HeadFacts> {
  const { standIn, revision } = head;
  const [tree, refs, notes] = await Promise.all([
    revision && mustGit(git(standIn.place, ['rev-parse', '--verify', `${revision}^{tree}`], quick)),
    listRefs(git, head),
    notesOn(git, head),
  ]);
  return { tree, refs, notes };
}

/** Of the source, and over them what the server fetched itself. */
async function listRefs(git: Git, head: SyncedHead): Promise<Ref[]> {
  const format = '%(objectname) %(symref) %(refname)';
  const args = ['for-each-ref', `--count=${mostRefs}`, `--format=${format}`, 'refs/remotes', 'refs/tags'];
  const refs = new Map<string, Ref>();
  for (const place of [head.source, head.standIn.place]) {
    const { text } = await git(place, args, { timeoutMs: 30_000 });
    for (const line of text.split('\n').filter(Boolean)) {
      const [id = '', symbolic = '', name = ''] = line.split(' ');
      refs.set(name, { id, symbolic, name });
    }
  }
  return [...refs.values()];
}

async function notesOn(git: Git, { standIn, revision }: SyncedHead): Promise<string[]> {
  const read = (path: string) => git(standIn.place, ['cat-file', 'blob', `${revision}:${path}`], quick);
  const [modules, attributes] = await Promise.all([read('.gitmodules'), read('.gitattributes')]);
  return [
    ...(modules.ok ? ['the folders of submodules are empty'] : []),
    ...(/filter=lfs/.test(attributes.text) ? ['files in Git LFS are pointers'] : []),
  ];
}
