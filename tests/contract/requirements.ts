/** Required behaviour as data: the rule, and who needs it. Tests cite the ids; every id is cited by a test. */

export type Requirement = {
  id: string;
  says: string;
  /** `contract`: clients of the earlier service. `specification`: OpenAI's API. `clients`: behaviour of published clients. `http`: the RFCs. */
  source: 'contract' | 'specification' | 'clients' | 'http' | 'own';
};

type Row = [id: string, says: string, source: Requirement['source']];

const nativeApi: Row[] = [
  ['C-1', 'a completion has its object, id, integer time, model, one choice and the three token counts', 'contract'],
  [
    'C-2',
    'the token counts are those that the agent reported; those of the prompt include cache reads and writes',
    'contract',
  ],
  ['C-3', 'each served model is passed to claude as --model', 'contract'],
  ['C-4', 'a request without a model runs sonnet, and the answer says so', 'contract'],
  ['C-5', 'another model is 400 "unsupported model" with the supported ones, and starts nothing', 'contract'],
  ['C-6', 'the model list holds exactly the models that a request may name', 'contract'],
  ['C-7', 'a request for a stream is 400 "streaming not supported" and names the API that streams', 'contract'],
  [
    'C-8',
    'without the right key every endpoint but /health is 401 with WWW-Authenticate, before the body is read',
    'contract',
  ],
  ['C-9', 'with an empty key configured nothing but /health is open', 'contract'],
  ['C-10', 'empty, missing or malformed messages are 400 naming the field, and start nothing', 'contract'],
  ['C-11', 'a body that is not an object, or a field of a wrong type, is 400', 'contract'],
  ['C-12', 'unknown fields and nulls are accepted, and content may be text parts', 'contract'],
  [
    'C-13',
    'the prompt has the system text first, then the conversation in order, with the assistant messages marked',
    'contract',
  ],
  [
    'C-14',
    'the prompt of a single plain message is the last argument after --; one that does not fit goes over stdin',
    'contract',
  ],
  ['C-15', 'the CLI expands and runs nothing in a prompt', 'contract'],
  ['C-16', 'a failed agent is 503 "execution failed" with its true cause, not to be retried', 'contract'],
  ['C-17', 'the cause in an error names no key, path or stack', 'contract'],
  ['C-18', 'an agent that cannot be started, or takes too long, is the same 503', 'contract'],
  ['C-19', 'when no slot is free, the answer is 503 "agent is busy" at once, to be retried later', 'contract'],
  ['C-20', 'output that is not JSON is the answer as it is', 'contract'],
  ['C-21', 'when a result has no text, the answer is the text that was printed before', 'contract'],
  ['C-22', 'every answer carries x-request-id', 'contract'],
  ['C-23', 'an unknown path is 404 and a wrong method 405, with a JSON body', 'contract'],
  ['C-24', 'a body over the limit is 413', 'contract'],
  ['C-25', 'the published openai client works with all of it', 'contract'],
  ['C-26', 'an answer names the state of the workspace sync', 'contract'],
];

const routing: Row[] = [
  ['item-1', 'chat completions are at /v1/chat/completions under both APIs', 'specification'],
  ['item-2', 'base URLs without /v1, and with a trailing slash, work too', 'clients'],
  ['item-3', 'an unknown path is 404 with a JSON body', 'clients'],
  ['item-4', 'a wrong method is 405 with Allow and a JSON body', 'http'],
  ['item-5', 'a body that is not JSON, or not an object, is 400', 'clients'],
  ['item-6', 'messages that are missing, empty or malformed are 400 and start nothing', 'specification'],
  ['item-7', 'a model that is not a string is 400; without one the default model runs', 'specification'],
  ['item-8', 'unknown fields are accepted, at the top and inside messages', 'clients'],
  ['item-9', 'null is the same as absent', 'clients'],
  ['item-10', 'a wrong type or value is 400 naming the field', 'specification'],
  ['item-11', 'compressed bodies are read; unknown encodings are 415', 'clients'],
  ['item-12', 'a body whose content type is not JSON is 415', 'http'],
  ['item-13', 'a body over the limit is 413 before all of it is read, and the default limit is 10 MB', 'clients'],
  ['item-14', 'the checks of a request have a fixed order', 'own'],
];

const messages: Row[] = [
  ['item-15', 'all six roles are accepted, others are 400', 'specification'],
  ['item-16', 'system and developer texts anywhere become one system prompt', 'clients'],
  ['item-17', 'a system message alone is the prompt', 'clients'],
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
  ['item-27', 'n is 1 or absent', 'clients'],
  ['item-28', 'without stream the answer is one JSON body', 'clients'],
  ['item-29', 'an API that does not stream says so with 400', 'contract'],
  ['item-30', 'stream_options without stream are accepted', 'clients'],
  ['item-31', 'include_usage is honoured, include_obfuscation accepted', 'specification'],
  ['item-32', 'a parameter without effect is named in a header, or refused if a setting says so', 'clients'],
  ['item-33', 'sampling parameters are checked and ignored', 'clients'],
  [
    'item-34',
    'both limits on tokens are accepted and named as ignored; an answer that the model cut has the finish reason length',
    'clients',
  ],
  ['item-35', 'the answer is cut before the first stop text, also when that arrives in pieces', 'specification'],
  ['item-36', 'response_format text allows any text', 'specification'],
  ['item-37', 'json_object gives JSON or fails', 'clients'],
  ['item-38', 'json_schema is enforced; a schema that cannot be enforced is 400', 'specification'],
  ['item-39', 'an answer in a wrong format is a failed run, never prose with 200', 'clients'],
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
  ['item-56', 'usage is present, complete, and adds up', 'specification'],
  ['item-57', 'prompt_tokens include cache reads and writes, which the details name separately', 'clients'],
  ['item-58', 'thinking is not content', 'clients'],
  ['item-59', 'the session, the cost and the models of the run are an extra field', 'own'],
  ['item-60', 'an error is never 200 and always JSON', 'clients'],
  ['item-61', 'no byte comes before the JSON', 'clients'],
];

const errors: Row[] = [
  ['item-62', 'bad input is 400, never 422', 'clients'],
  ['item-63', 'an unknown model is 400 with the supported ones', 'contract'],
  ['item-64', 'clients that retry a 503 start no second agent', 'clients'],
  ['item-65', 'the error of an agent that was started says not to retry', 'clients'],
  ['item-66', 'a refusal for want of a slot says when to retry, within a minute', 'clients'],
  ['item-67', 'a repeated request joins the run in flight or gets the stored outcome', 'clients'],
  ['item-68', 'Idempotency-Key gives the same outcome again, and starts a new run when new', 'clients'],
  ['item-69', 'no state of an agent is 408 or 409', 'clients'],
  ['item-70', 'every error body has an error member', 'clients'],
  ['item-71', 'error texts hold no secrets and do not look like rate limits', 'clients'],
  ['item-72', 'errors are application/json', 'clients'],
  ['item-73', 'an answer that is not streamed comes before clients give up on it', 'clients'],
  ['item-74', 'when a client goes away, its slot is released and its agent ends', 'own'],
];

const streams: Row[] = [
  ['item-75', 'a stream says that it is one, uncompressed and unbuffered, at once', 'clients'],
  ['item-76', 'an event is one line of JSON', 'clients'],
  ['item-77', 'every chunk satisfies the published schema', 'specification'],
  ['item-78', 'id, time and model are the same in all chunks', 'specification'],
  ['item-79', 'the role is in the first chunk only', 'clients'],
  ['item-80', 'exactly one last choice chunk has the finish_reason', 'clients'],
  ['item-81', 'an empty answer still has its role and its finish', 'clients'],
  ['item-82', 'the usage chunk is sent only on request, last, and without choices', 'specification'],
  ['item-83', '[DONE] is last', 'specification'],
  ['item-84', 'during silence empty chunks, comments or nothing is sent, as STREAM_KEEP_ALIVE says', 'clients'],
  ['item-85', 'there are no id: and no retry: lines', 'clients'],
  ['item-86', 'there are no named events and no empty data', 'clients'],
  ['item-87', 'a comment is a whole event', 'clients'],
  ['item-88', 'a failure in a stream is an error object, after which the stream ends', 'clients'],
  ['item-89', 'the type of that error is one that clients do not retry without end', 'clients'],
  ['item-90', 'the stream begins when the agent works; an error before that has its own status', 'clients'],
  ['item-91', 'no stream is silent for long', 'clients'],
  ['item-92', 'the tools that the agent uses are shown only on request, and never as tool_calls', 'clients'],
  ['item-93', 'tool calls of the agent do not end an answer', 'clients'],
  ['item-94', 'a reader that stops reading takes bounded memory and is disconnected', 'own'],
  ['item-95', 'characters of several bytes arrive whole', 'clients'],
];

const rest: Row[] = [
  ['item-96', 'the model list has the published shape', 'specification'],
  ['item-97', 'one model is found by its id, percent-decoded; others are 404', 'specification'],
  ['item-98', 'the list holds exactly the accepted models, aliases included', 'own'],
  [
    'item-99',
    'endpoints of OpenAI that are missing here are 404 or 405, and the error names those that exist',
    'specification',
  ],
  ['item-100', 'no key or a wrong one is 401 before the body is read', 'contract'],
  ['item-101', 'Bearer is accepted in any case and with extra spaces', 'http'],
  ['item-102', '/health is open, the models are not', 'own'],
  ['item-103', 'x-request-id is on every answer and may be the caller\u2019s', 'clients'],
  ['item-104', 'request-id is on every answer too', 'clients'],
  ['item-105', 'traceparent is accepted', 'http'],
  ['item-106', 'no answer has headers of rate limits', 'own'],
  [
    'item-107',
    'CORS is off by default; when on, it answers preflights and exposes the headers that clients need',
    'clients',
  ],
  ['item-108', 'two requests at once are served by default', 'clients'],
  ['item-109', 'connections are kept longer than clients keep them', 'http'],
  ['item-110', 'Expect, HEAD and pipelined requests do not hang', 'http'],
];

const jobs: Row[] = [
  ['J-1', 'POST /execute is 202 with the id, status queued, the position and the address of the job', 'contract'],
  ['J-2', 'the record of a job has its request, state, times, result and cost', 'contract'],
  ['J-3', 'a wrong field is 400 naming it, and no job is made', 'contract'],
  ['J-4', 'models of jobs are those of chat: aliases are served, others are 400 with the supported ones', 'contract'],
  ['J-5', 'nulls are accepted, unknown fields are not, and metadata comes back as it came', 'own'],
  ['J-6', 'a full queue is 429 with Retry-After, and the job is not accepted', 'own'],
  ['J-7', 'an Idempotency-Key gives the same job again, and 409 for another request', 'own'],
  ['J-8', 'jobs are listed newest first, by status and agent, in pages', 'own'],
  ['J-9', 'an unknown job is 404 with a JSON body', 'contract'],
  ['J-10', 'the events of a job are a numbered stream from its beginning to its end', 'own'],
  ['J-11', 'a reader that comes late or reconnects misses nothing and sees nothing twice', 'own'],
  ['J-12', 'events are sent as they happen, and comments during silence', 'own'],
  ['J-13', 'a reader that stops reading is disconnected, and its job goes on', 'own'],
  ['J-14', 'a cancelled job never starts, or ends within 5 s; a finished one is 409', 'own'],
  ['J-15', 'each limit of a job has an error of its own', 'own'],
  ['J-16', 'the changes of a job are a patch; if there is none, the answer gives the reason', 'own'],
  ['J-17', 'every job route needs a key; further keys reach their own jobs only', 'own'],
  ['J-18', 'a callback sends the record of the job as the API gives it, signed', 'own'],
  ['J-19', 'jobs that change the same file at the same time each give a clean patch', 'own'],
  [
    'J-20',
    'the command line submits a job, shows its events, prints the result, and exits with the status of the job',
    'own',
  ],
  ['J-21', 'the command line continues after the last event when the connection is lost', 'own'],
  ['J-22', 'Ctrl-C cancels the job that the command line waits for', 'own'],
  ['J-23', 'the OpenAPI description has the job routes', 'own'],
  [
    'J-24',
    'callbacks are signed with a secret of their key: no other key can forge them, and no key can be guessed',
    'own',
  ],
  ['J-25', 'a budget is from 0.01 to MAX_BUDGET_USD, and anything else is 400 naming the field and the limit', 'own'],
  ['J-26', 'no key can fill the queue: each has a limit, and the operator has a reserve', 'own'],
  ['J-27', 'a job of another key than the operator’s is never ahead of jobs of normal priority', 'own'],
];

export const requirements: Requirement[] = [
  ...[nativeApi, routing, messages, parameters, answers, errors, streams, rest, jobs].flat(),
].map(([id, says, source]) => ({ id, says, source }));

/** The title of a test for these requirements: their ids, and `what`, or else the sentence of the first one. */
export function requirement(ids: string | string[], what?: string): string {
  const found = [ids].flat().map((id) => {
    const known = requirements.find((candidate) => candidate.id === id);
    if (!known) throw new Error(`There is no requirement ${id}`);
    return known;
  });
  return `${found.map(({ id }) => id).join(', ')}: ${what ?? found[0]?.says}`;
}
