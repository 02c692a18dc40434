/** The time to the first token for each kind of start. The kinds alternate, so that noise affects all equally. */
import { type Answer, askStreaming, type ChatMessage } from '../client.ts';
import { median, percentile, quiet, ratio } from '../measure.ts';
import { type Figure, scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

const kinds = ['new', 'prewarmed', 'reset', 'reset_late', 'continued'] as const;
type Kind = (typeof kinds)[number];

/** The word for each in the server's log. */
const startOf = { new: 'new', prewarmed: 'prewarmed', reset: 'reset', reset_late: 'reset', continued: 'continued' };

type TimesOf<K extends Kind> = `${K}_p50` | `${K}_p99` | `${K}_total_p50` | `${K}_total_p99`;

/** The four figures of one kind of start. */
function times<K extends Kind>(kind: K, of: string) {
  const ms = (about: string) => ({ unit: 'ms' as const, about });
  return {
    [`${kind}_p50`]: ms(`first token ${of}`),
    [`${kind}_p99`]: ms('the same, the slowest of a hundred'),
    [`${kind}_total_p50`]: ms('the same, whole answer'),
    [`${kind}_total_p99`]: ms('the same, whole answer, the slowest of a hundred'),
  } as Record<TimesOf<K>, Figure>;
}

export const firstToken = scenario({
  name: 'first_token',
  about: 'A short streamed answer through /openai/v1, one at a time, alternating between the kinds of start.',
  figures: {
    ...times('new', 'of a new process (PREWARMED_AGENTS=0, IDLE_AGENTS=0)'),
    ...times('prewarmed', 'of a prewarmed process'),
    ...times('reset', 'of a process that was reset ahead of the request'),
    ...times('reset_late', 'of a process that was reset when the request came'),
    ...times('continued', 'of a follow-up in the process that holds the conversation'),
    bare_total_p50: { unit: 'ms', about: 'claude -p --output-format json without a server, which has no first token' },
    bare_total_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
    prewarmed_over_new: { unit: '×', about: 'first tokens, p50' },
    reset_over_new: { unit: '×', about: 'first tokens, p50' },
    reset_late_over_new: { unit: '×', about: 'first tokens, p50' },
    continued_over_new: { unit: '×', about: 'first tokens, p50' },
    new_over_bare: { unit: '×', about: 'whole answers, p50' },
    strays: { unit: 'count', about: 'runs with another start than intended, which are not counted elsewhere' },
  },
  async run(bench) {
    const idle = { PREWARMED_AGENTS: '0', IDLE_AGENTS: '1', AGENT_MAX_TURNS: '1000' };
    const servers = {
      new: await bench.server('claude', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '0' }),
      prewarmed: await bench.server('claude', { PREWARMED_AGENTS: '1', IDLE_AGENTS: '0' }),
      once: await bench.server('claude', idle),
      kept: await bench.server('claude', idle),
    };
    const pids = Object.values(servers).map(({ pid }) => pid);
    const answers: Record<Kind, Answer[]> = { new: [], prewarmed: [], reset: [], reset_late: [], continued: [] };
    const bare: number[] = [];
    let strays = 0;
    const ask = async (server: ServerProcess, kind: Kind | undefined, messages: ChatMessage[]): Promise<Answer> => {
      await quiet(pids);
      const answer = await askStreaming(server, messages);
      if (kind === undefined) return answer;
      if ((await server.startOf(answer.runId)) === startOf[kind]) answers[kind].push(answer);
      else strays += 1;
      return answer;
    };

    // The first run of a server starts its process; the runs of the rounds find it idle. After three conversations in a
    // row without a follow-up, the process is reset ahead of the next request.
    await ask(servers.kept, undefined, question(0));
    for (const _ of [1, 2, 3]) await ask(servers.once, undefined, question(0));
    for (let round = 1; round <= bench.pick(15, 3); round += 1) {
      await ask(servers.new, 'new', question(round));
      await ask(servers.prewarmed, 'prewarmed', question(round));
      await ask(servers.once, 'reset', question(round));
      const { text } = await ask(servers.kept, 'reset_late', question(round));
      await ask(servers.kept, 'continued', [
        ...question(round),
        { role: 'assistant', content: text },
        ...question(round),
      ]);
      await quiet(pids);
      bare.push(await bench.bareClaude(question(round)[0]?.content ?? ''));
    }
    return { ...figuresOf(answers, bare), strays };
  },
});

function question(round: number): ChatMessage[] {
  return [{ role: 'user', content: `Question ${round} [[words: 8]]` }];
}

function figuresOf(answers: Record<Kind, Answer[]>, bare: number[]) {
  const first = (kind: Kind, percent: number) =>
    percentile(
      answers[kind].map(({ firstTokenMs }) => firstTokenMs),
      percent,
    );
  const total = (kind: Kind, percent: number) =>
    percentile(
      answers[kind].map(({ totalMs }) => totalMs),
      percent,
    );
  const of = <K extends Kind>(kind: K) =>
    ({
      [`${kind}_p50`]: first(kind, 50),
      [`${kind}_p99`]: first(kind, 99),
      [`${kind}_total_p50`]: total(kind, 50),
      [`${kind}_total_p99`]: total(kind, 99),
    }) as Record<TimesOf<K>, number | undefined>;
  return {
    ...of('new'),
    ...of('prewarmed'),
    ...of('reset'),
    ...of('reset_late'),
    ...of('continued'),
    bare_total_p50: median(bare),
    bare_total_p99: percentile(bare, 99),
    prewarmed_over_new: ratio(first('prewarmed', 50), first('new', 50)),
    reset_over_new: ratio(first('reset', 50), first('new', 50)),
    reset_late_over_new: ratio(first('reset_late', 50), first('new', 50)),
    continued_over_new: ratio(first('continued', 50), first('new', 50)),
    new_over_bare: ratio(total('new', 50), median(bare)),
  };
}
