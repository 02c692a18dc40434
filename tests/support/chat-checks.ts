/** What a chat request with a field comes to: the text of its answer, or the name of the wrong field. */
import assert from 'node:assert/strict';
import { askFor, readEvents, type Script, type ScriptedService } from './scripted-agent.ts';
import { ask } from './service.ts';

/** Asserts that the request is refused and that the error names the field. */
export async function refused(service: ScriptedService, more: Record<string, unknown>, param: string): Promise<void> {
  const response = await service.chat('/openai/v1', ask('hi', more));
  const { error } = (await response.json()) as { error: { param: string; message: string; type: string } };
  assert.equal(response.status, 400, JSON.stringify(more));
  assert.equal(error.type, 'invalid_request_error');
  assert.equal(error.param, param, error.message);
  assert.ok(error.message.includes(param));
}

/** The text of the answer, whole or streamed. */
export async function content(
  service: ScriptedService,
  script: Script,
  more: Record<string, unknown> = {},
): Promise<string> {
  const response = await service.chat('/openai/v1', askFor(script, more));
  assert.equal(response.status, 200);
  if (more['stream'] !== true) {
    return (
      ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]?.message.content ?? ''
    );
  }
  const events = (await readEvents(response)) as { choices?: { delta: { content?: string } }[] }[];
  return events.map((event) => event.choices?.[0]?.delta.content ?? '').join('');
}
