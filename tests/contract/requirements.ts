/** Required behaviour as data: what must hold, and who needs it. Tests cite the ids; every id is cited by some test. */

export type Requirement = {
  id: string;
  says: string;
  /** `contract`: the earlier service's clients. `specification`: OpenAI's API. `clients`: what published clients do. */
  source: 'contract' | 'specification' | 'clients' | 'http' | 'own';
};

type Row = [id: string, says: string, source: Requirement['source']];

const nativeApi: Row[] = [
  ['C-1', 'a completion has its object, id, integer time, model, one choice and the three token counts', 'contract'],
  ['C-2', 'the token counts are those the agent reported, the prompt including cache reads and writes', 'contract'],
  ['C-3', 'each served model is handed to claude as --model', 'contract'],
  ['C-4', 'without a model sonnet runs, and the answer says so', 'contract'],
  ['C-5', 'another model is 400 "unsupported model" with the supported ones, and starts nothing', 'contract'],
  ['C-6', 'the model list holds exactly what a request may name', 'contract'],
  ['C-7', 'a request for a stream is 400 "streaming not supported" and names the api that streams', 'contract'],
  [
    'C-8',
    'without the right key every endpoint but /health is 401 with WWW-Authenticate, before the body is read',
    'contract',
  ],
  ['C-9', 'with an empty key configured nothing but /health is open', 'contract'],
  ['C-10', 'empty, missing or malformed messages are 400 naming the field, and start nothing', 'contract'],
  ['C-11', 'bodies that are no object, and fields of a wrong type, are 400', 'contract'],
  ['C-12', 'unknown fields and nulls are accepted, and content may be text parts', 'contract'],
  [
    'C-13',
    'the prompt holds the system text first, then the conversation in order, with the assistant marked',
    'contract',
  ],
  ['C-14', 'a plain one-turn prompt is the last argument after --; one that does not fit goes over stdin', 'contract'],
  ['C-15', 'nothing in a prompt is expanded or run by the command line itself', 'contract'],
  ['C-16', 'a failed agent is 503 "execution failed" with its true cause, not to be retried', 'contract'],
  ['C-17', 'a cause names no key, path or stack', 'contract'],
  ['C-18', 'an agent that cannot be started, or takes too long, is the same 503', 'contract'],
  ['C-19', 'with every place taken the answer is 503 "agent is busy" at once, to be retried later', 'contract'],
  ['C-20', 'output that is no JSON is the answer as it is', 'contract'],
  ['C-21', 'a result without text falls back to what was printed', 'contract'],
  ['C-22', 'every answer carries x-request-id', 'contract'],
  ['C-23', 'an unknown path is 404 and a wrong method 405, with a JSON body', 'contract'],
  ['C-24', 'a body over the limit is 413', 'contract'],
  ['C-25', 'the published openai client gets all of it', 'contract'],
  ['C-26', 'the state of the workspace sync is told', 'contract'],
];

const routing: Row[] = [
  ['item-1', 'chat completions are at /v1/chat/completions under both apis', 'specification'],
  ['item-2', 'base URLs without /v1, and with a trailing slash, work too', 'clients'],
  ['item-3', 'an unknown path is 404 with a JSON body', 'clients'],
  ['item-4', 'a wrong method is 405 with Allow and a JSON body', 'http'],
  ['item-5', 'a body that is not JSON, or no object, is 400', 'clients'],
  ['item-6', 'messages that are none are 400 and start nothing', 'specification'],
  ['item-7', 'a model that is no string is 400; without one the default serves', 'specification'],
  ['item-8', 'unknown fields are accepted, at the top and inside messages', 'clients'],
  ['item-9', 'null is the same as absent', 'clients'],
  ['item-10', 'a wrong type or value is 400 naming the field', 'specification'],
  ['item-11', 'compressed bodies are read; unknown encodings are 415', 'clients'],
  ['item-12', 'a body that does not say it is JSON is 415', 'http'],
  ['item-13', 'a body over the limit is 413 before all of it is read, and the default limit is 10 MB', 'clients'],
  ['item-14', 'checks come in a fixed order', 'own'],
];

const messages: Row[] = [
  ['item-15', 'all six roles are taken, others are 400', 'specification'],
  ['item-16', 'system and developer texts anywhere become one system prompt', 'clients'],
  ['item-17', 'a system message alone is run as the prompt', 'clients'],
  ['item-18', 'content may be text parts in every role', 'specification'],
  ['item-19', 'an assistant message may have tool calls and no content', 'specification'],
  ['item-20', 'a user or system message without content is 400', 'specification'],
  ['item-21', 'tool calls and their results in a history reach the model in order', 'specification'],
  ['item-22', 'images as data URLs reach the model, or are refused with the reason', 'specification'],
  ['item-23', 'remote and file images are refused', 'own'],
  ['item-24', 'audio and file parts are 400 naming the part', 'own'],
  ['item-25', 'names on messages are accepted', 'specification'],
  ['item-26', 'a history may be long and may end with the assistant', 'clients'],
];

const parameters: Row[] = [
  ['item-27', 'n is 1 or nothing', 'clients'],
  ['item-28', 'without stream the answer is one JSON body', 'clients'],
  ['item-29', 'a api that does not stream says so with 400', 'contract'],
  ['item-30', 'stream_options without stream are accepted', 'clients'],
  ['item-31', 'include_usage is honoured, include_obfuscation accepted', 'specification'],
  ['item-32', 'what is accepted and has no effect is named in a header, or refused if so set', 'clients'],
  ['item-33', 'sampling parameters are checked and ignored', 'clients'],
  [
    'item-34',
    'both limits on tokens are accepted and named as ignored; an answer cut by the model says length',
    'clients',
  ],
  ['item-35', 'the answer is cut before the first stop text, also when it comes in pieces', 'specification'],
  ['item-36', 'response_format text is any text', 'specification'],
  ['item-37', 'json_object gives JSON or fails', 'clients'],
  ['item-38', 'json_schema is enforced; a schema that cannot be is 400', 'specification'],
  ['item-39', 'an answer that misses its format is a failed run, never prose with 200', 'clients'],
  ['item-40', 'tools without a forced choice are accepted and ignored', 'clients'],
  ['item-41', 'a forced tool call is 400', 'own'],
  ['item-42', 'parallel_tool_calls and strict are accepted', 'clients'],
  ['item-43', 'logprobs are accepted and null in the answer', 'clients'],
  ['item-44', 'audio output is 400, text is fine', 'specification'],
  ['item-45', 'reasoning_effort becomes the effort of the agent', 'specification'],
  ['item-46', 'fields about users, storage and caches are accepted', 'specification'],
  ['item-47', 'a body with every parameter at once is served', 'clients'],
  ['item-48', 'aliases of models are served, other names refused', 'clients'],
];

const answers: Row[] = [
  ['item-49', 'a completion satisfies the published schema', 'specification'],
  ['item-50', 'ids are unique and begin with chatcmpl-', 'clients'],
  ['item-51', 'created is a whole number of seconds', 'clients'],
  ['item-52', 'there is one choice with index 0 and role assistant', 'clients'],
  ['item-53', 'content is a string, empty when there is no text', 'clients'],
  ['item-54', 'finish_reason is one of those that clients know', 'specification'],
  ['item-55', 'model is what the client asked for', 'clients'],
  ['item-56', 'usage is there, whole, and adds up', 'specification'],
  ['item-57', 'prompt_tokens include cache reads and writes, told apart in the details', 'clients'],
  ['item-58', 'thinking is not content', 'clients'],
  ['item-59', 'what the run was and cost is an extra field', 'own'],
  ['item-60', 'an error is never 200 and always JSON', 'clients'],
  ['item-61', 'no byte precedes the JSON', 'clients'],
];

const errors: Row[] = [
  ['item-62', 'bad input is 400, never 422', 'clients'],
  ['item-63', 'an unknown model is 400 with those supported', 'contract'],
  ['item-64', 'clients that retry a 503 start no second agent', 'clients'],
  ['item-65', 'a failure of a started agent says not to retry', 'clients'],
  ['item-66', 'busy says when to retry, within a minute', 'clients'],
  ['item-67', 'a repeated request joins the run in flight or gets the stored outcome', 'clients'],
  ['item-68', 'Idempotency-Key gives the same outcome again, and starts a new run when new', 'clients'],
  ['item-69', 'no state of an agent is 408 or 409', 'clients'],
  ['item-70', 'every error body has an error member', 'clients'],
  ['item-71', 'error texts hold no secrets and do not pass for rate limits', 'clients'],
  ['item-72', 'errors are application/json', 'clients'],
  ['item-73', 'an answer that is not streamed comes before clients give up on it', 'clients'],
  ['item-74', 'a client that goes away frees its place and ends its agent', 'own'],
];

const streams: Row[] = [
  ['item-75', 'a stream says that it is one, uncompressed and unbuffered, at once', 'clients'],
  ['item-76', 'an event is one line of JSON', 'clients'],
  ['item-77', 'every chunk satisfies the published schema', 'specification'],
  ['item-78', 'id, time and model are the same in all chunks', 'specification'],
  ['item-79', 'the role is in the first chunk only', 'clients'],
  ['item-80', 'exactly one last choice chunk has the finish_reason', 'clients'],
  ['item-81', 'an empty answer still has its role and its finish', 'clients'],
  ['item-82', 'the usage chunk comes only when asked for, last, with no choices', 'specification'],
  ['item-83', '[DONE] is last', 'specification'],
  ['item-84', 'silence is broken by empty chunks, comments or not at all, as set', 'clients'],
  ['item-85', 'there are no id: and no retry: lines', 'clients'],
  ['item-86', 'there are no named events and no empty data', 'clients'],
  ['item-87', 'a comment is a whole event', 'clients'],
  ['item-88', 'a failure in a stream is an error object and the end', 'clients'],
  ['item-89', 'its type is one that clients do not repeat for ever', 'clients'],
  ['item-90', 'once the agent works the stream has begun; before that an error has its status', 'clients'],
  ['item-91', 'no stream is silent for long', 'clients'],
  ['item-92', 'what tools the agent uses is told to those who ask, never as tool_calls', 'clients'],
  ['item-93', 'tool calls of the agent do not end an answer', 'clients'],
  ['item-94', 'a reader that stops reading costs bounded memory and is cut off', 'own'],
  ['item-95', 'characters of several bytes arrive whole', 'clients'],
];

const rest: Row[] = [
  ['item-96', 'the model list has the published shape', 'specification'],
  ['item-97', 'one model is found by its id, percent-decoded; others are 404', 'specification'],
  ['item-98', 'the list holds exactly what is accepted, aliases included', 'own'],
  ['item-99', 'endpoints of OpenAI that are not here are 404 or 405 naming what is', 'specification'],
  ['item-100', 'no key or a wrong one is 401 before the body is read', 'contract'],
  ['item-101', 'Bearer is taken in any case and with extra spaces', 'http'],
  ['item-102', '/health is open, the models are not', 'own'],
  ['item-103', 'x-request-id is on every answer and may be the caller\u2019s', 'clients'],
  ['item-104', 'request-id is there too', 'clients'],
  ['item-105', 'traceparent is accepted', 'http'],
  ['item-106', 'no rate limits are invented', 'own'],
  ['item-107', 'CORS is off by default; when on it answers preflights and exposes what clients need', 'clients'],
  ['item-108', 'two requests at once are served by default', 'clients'],
  ['item-109', 'connections are kept longer than clients keep them', 'http'],
  ['item-110', 'Expect, HEAD and pipelined requests do not hang', 'http'],
];

const jobs: Row[] = [
  [
    'J-1',
    'POST /execute is 202 with the id, status queued and the position of the job, and says where it is',
    'contract',
  ],
  ['J-2', 'a job is told whole: what was asked, its state and times, what came of it and what it cost', 'contract'],
  ['J-3', 'a wrong field is 400 naming it, and no job is made', 'contract'],
  ['J-4', 'models of jobs are those of chat: aliases are served, others are 400 with the supported ones', 'contract'],
  ['J-5', 'unknown fields and nulls are accepted, and metadata comes back as it came', 'own'],
  ['J-6', 'a full queue is 429 with Retry-After, and the job is not taken', 'own'],
  ['J-7', 'an Idempotency-Key gives the same job again, and 409 for another request', 'own'],
  ['J-8', 'jobs are listed newest first, by status and agent, in pages', 'own'],
  ['J-9', 'an unknown job is 404 with a JSON body', 'contract'],
  ['J-10', 'the events of a job are a numbered stream from its beginning to its end', 'own'],
  ['J-11', 'a reader that comes late or again misses nothing and sees nothing twice', 'own'],
  ['J-12', 'events come as they happen, and silence is broken by comments', 'own'],
  ['J-13', 'a reader that stops reading is cut off, and its job goes on', 'own'],
  ['J-14', 'a cancelled job never starts, or ends within 5 s; a finished one is 409', 'own'],
  ['J-15', 'each limit of a job has an error of its own', 'own'],
  ['J-16', 'what a job changed is a patch; where there is none the reason is told', 'own'],
  ['J-17', 'every job route needs a key; further keys reach their own jobs only', 'own'],
  ['J-18', 'a callback sends what the API tells, signed', 'own'],
  ['J-19', 'jobs at the same time on the same file give a clean patch each', 'own'],
  ['J-20', 'the command line hands in a job, shows what happens, prints the result and ends as the job does', 'own'],
  ['J-21', 'the command line goes on where it was when the connection is lost', 'own'],
  ['J-22', 'Ctrl-C cancels the job that the command line waits for', 'own'],
  ['J-23', 'the description of the API has the job routes', 'own'],
  [
    'J-24',
    'callbacks are signed with a secret of their key: no other key can forge them, and no key can be guessed',
    'own',
  ],
  ['J-25', 'a budget is from 0.01 to MAX_BUDGET_USD, and anything else is 400 naming the field and the limit', 'own'],
  ['J-26', 'no key fills the queue: each has a bound, and the operator has a reserve', 'own'],
  ['J-27', 'the jobs of a key other than the operator’s go before nobody', 'own'],
];

export const requirements: Requirement[] = [
  ...[nativeApi, routing, messages, parameters, answers, errors, streams, rest, jobs].flat(),
].map(([id, says, source]) => ({ id, says, source }));

/** The name of a test that shows these requirements to hold: their ids, and what the first one says or `what`. */
export function requirement(ids: string | string[], what?: string): string {
  const found = [ids].flat().map((id) => {
    const known = requirements.find((candidate) => candidate.id === id);
    if (!known) throw new Error(`There is no requirement ${id}`);
    return known;
  });
  return `${found.map(({ id }) => id).join(', ')}: ${what ?? found[0]?.says}`;
}
