/** The two doors to chat: the same routes, with other promises about dialect, streaming and waiting. */
import type { Dialect } from './error-bodies.ts';

export type Door = {
  name: 'native' | 'openai';
  dialect: Dialect;
  /** Users give a base URL with and without the version. */
  prefixes: string[];
  whenBusy: 'refuse' | 'queue';
  /** Who would be refused finds the place free when it has its answer; who would wait has its answer sooner. */
  settle: 'after_release' | 'at_outcome';
  launch: 'argument' | 'session';
  /** What a request for a stream is told where there are none. */
  noStreaming: string | undefined;
};

const contractPrefixes = ['/v1', ''];

const nativeApi: Door = {
  name: 'native',
  dialect: 'native',
  prefixes: contractPrefixes,
  whenBusy: 'refuse',
  settle: 'after_release',
  launch: 'argument',
  noStreaming:
    'Cannot stream at this path: streaming not supported under /v1, use the base URL /openai/v1, which streams',
};

const openaiDoor: Door = {
  name: 'openai',
  dialect: 'openai',
  prefixes: ['/openai/v1', '/openai'],
  whenBusy: 'queue',
  settle: 'at_outcome',
  launch: 'session',
  noStreaming: undefined,
};

export type DoorSettings = {
  /** `openai`: everything under /v1 is as under /openai/v1. */
  v1Api: Dialect;
  /** With 0 nobody waits: who finds no place free is refused, at either door. */
  maxQueuedRuns: number;
};

export function doors({ v1Api, maxQueuedRuns }: DoorSettings): Door[] {
  const openai: Door = maxQueuedRuns === 0 ? { ...openaiDoor, settle: 'after_release' } : openaiDoor;
  if (v1Api === 'native') return [nativeApi, openai];
  return [{ ...openai, prefixes: [...contractPrefixes, ...openai.prefixes] }];
}
