/** The server's share of the time to the first token; the agent is a stub that prints on command. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { askStreaming, type ChatMessage } from '../client.ts';
import { percentile } from '../measure.ts';
import { Pipe } from '../pipe.ts';
import { scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

export const overhead = scenario({
  name: 'overhead',
  about: 'Streamed answers of a stub agent through /openai/v1, one at a time.',
  figures: {
    event_p50: { unit: 'ms', about: "from the agent's first partial message to the client's first token" },
    event_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
    kept_p50: { unit: 'ms', about: 'from the request to the first token of a kept agent that answers at once' },
    kept_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
    new_p50: { unit: 'ms', about: 'the same with a new process each, the start of a shell included' },
    new_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
  },
  async run(bench) {
    const kept = await bench.server('stub', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '1', AGENT_MAX_TURNS: '10000' });
    const anew = await bench.server('stub', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '0' });
    const times = bench.pick(100, 30);
    const events = await repeat(times, (index) => firstEvent(bench, kept, index));
    const keptTurns = await repeat(times, (index) => firstToken(kept, index));
    const newTurns = await repeat(times, (index) => firstToken(anew, index));
    return {
      event_p50: percentile(events, 50),
      event_p99: percentile(events, 99),
      kept_p50: percentile(keptTurns, 50),
      kept_p99: percentile(keptTurns, 99),
      new_p50: percentile(newTurns, 50),
      new_p99: percentile(newTurns, 99),
    };
  },
});

/** The first requests run cold code and start a process. They are not counted. */
const unmeasured = 5;

async function repeat(times: number, once: (index: number) => Promise<number>): Promise<number[]> {
  const results: number[] = [];
  for (let index = 0; index < times + unmeasured; index += 1) {
    results.push(await once(index));
    // Long enough for the agent to become idle.
    await sleep(15);
  }
  return results.slice(unmeasured);
}

/** The agent is already at work and silent; then it prints one word. */
async function firstEvent(bench: Bench, server: ServerProcess, index: number): Promise<number> {
  const name = `event-${index}`;
  const pipe = new Pipe(await bench.makePipe(name));
  const [role, text] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()];
  const answer = askStreaming(server, question(`Event ${index} [[pipe ${name}]]`), {
    onRole: () => role.resolve(),
    onText: () => text.resolve(performance.now()),
  });
  await Promise.race([role.promise, answer]);
  pipe.write(bench.recording.head);
  await sleep(20);
  const spoke = performance.now();
  pipe.write(bench.recording.delta('word'));
  const heard = await Promise.race([text.promise, answer.then(() => Number.NaN)]);
  await pipe.end(bench.recording.tail);
  await answer;
  return heard - spoke;
}

async function firstToken(server: ServerProcess, index: number): Promise<number> {
  return (await askStreaming(server, question(`Question ${index}`))).firstTokenMs;
}

function question(content: string): ChatMessage[] {
  return [{ role: 'user', content }];
}
