/** All scenarios in their order: those that need a machine without load before them are first. */
import type { Scenario } from './scenario.ts';
import { completions } from './scenarios/completions.ts';
import { firstToken } from './scenarios/first-token.ts';
import { httpFloor } from './scenarios/http-floor.ts';
import { jobsEmbedded, jobsPostgres } from './scenarios/jobs.ts';
import { keptJobs } from './scenarios/kept-jobs.ts';
import { memory } from './scenarios/memory.ts';
import { nativeApi } from './scenarios/native-api.ts';
import { overhead } from './scenarios/overhead.ts';
import { slowReader } from './scenarios/slow-reader.ts';
import { start } from './scenarios/start.ts';
import { streams } from './scenarios/streams.ts';
import { turns } from './scenarios/turns.ts';

export const scenarios: readonly Scenario[] = [
  start,
  memory,
  firstToken,
  nativeApi,
  turns,
  completions,
  streams,
  overhead,
  slowReader,
  httpFloor,
  jobsEmbedded,
  jobsPostgres,
  keptJobs,
];
