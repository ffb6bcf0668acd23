import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { send, type Answer } from './client';
import { bytesOf, type BodyProgram } from './recorded-bodies';
import { SESSION } from './transfer-pool';
import { TransferServer } from './transfer-server';

interface Step {
  readonly note?: string;
  readonly http?: {
    readonly method: string;
    readonly path: string;
    readonly query: readonly (readonly [string, string])[];
    readonly headers: readonly string[];
    readonly body?: BodyProgram;
    readonly finish?: 'wait' | 'half' | 'drop';
  };
  readonly task?: unknown;
  readonly content?: unknown;
  readonly expect?: {
    readonly head?: readonly string[];
    readonly appended?: Message;
    readonly record?: {
      readonly status: string;
      readonly result: string;
      readonly error_info: readonly string[];
    };
    readonly body?: { readonly sha256: string };
  };
}

interface Message {
  readonly head: readonly string[];
  readonly appended?: Message;
}

/**
 * The real server reports success for these, with stale bytes behind the cut. The simulated one writes the same bytes and says
 * that it failed, unless it is told to be as the real one.
 */
const CUT_RAW_UPLOADS = [
  'fewer bytes than Content-Length',
  'half of the announced bytes and one sector, then our side is closed',
  '5000 of 8192 announced sectors, then the client goes away',
];

/** Replays the uploads of a recorded scenario on one disk and gives what differs from the recording. */
async function replay(
  name: string,
  mode: 'fails' | 'succeeds',
): Promise<{ steps: number; differing: string[] }> {
  await using server = await TransferServer.start();
  server.pool.cutRawUpload = mode;
  const vdi = await server.pool.addVdi('disk', 4 * 1024 * 1024);
  const path = join(__dirname, '../../vectors/xapi', `${name}.json`);
  const { steps } = JSON.parse(readFileSync(path, 'utf8')) as { steps: Step[] };
  const differing: string[] = [];
  let note = '';
  let task = '';
  let compared = 0;
  const compare = (what: string, wanted: unknown, got: unknown): void => {
    compared++;
    if (JSON.stringify(wanted) !== JSON.stringify(got)) differing.push(`${note}: ${what}`);
  };
  for (const step of steps) {
    if (step.http?.path === '/import_raw_vdi') {
      note = step.note ?? '';
      task = server.pool.addTask();
      const values: Record<string, string> = {
        '${task}': task,
        '${vdi}': vdi.ref,
        '${vdi_uuid}': vdi.uuid,
        '${session}': SESSION,
        '${basic}': Buffer.from('root:secret').toString('base64'),
      };
      const answer = await upload(server, step.http, values);
      if (step.http.finish !== 'drop') compare('answer', allHeads(step.expect), gotHeads(answer));
      await server.settled();
    } else if (step.task !== undefined && task !== '') {
      const { status, result, error_info } = step.expect?.record ?? {
        status: '',
        result: '',
        error_info: [],
      };
      const got = server.pool.task(task);
      compare(
        'task',
        [status, result.replace('${vdi}', vdi.ref), error_info.join()],
        [got.status, got.result, got.error_info.join()],
      );
    } else if (step.content !== undefined && task !== '') {
      const content = await server.pool.store.read('disk', 0, vdi.sizeBytes);
      compare('content', step.expect?.body?.sha256, createHash('sha256').update(content).digest('hex'));
    }
  }
  return { steps: compared, differing };
}

function upload(
  server: TransferServer,
  http: NonNullable<Step['http']>,
  values: Record<string, string>,
): Promise<Answer> {
  const body = bytesOf(http.body ?? null);
  const filled = (text: string): string =>
    text.replace(/\$\{\w+\}/g, (name) => values[name] ?? name).replace('{length}', `${body.length}`);
  const query = http.query.map(([key, value]) => [key, filled(value)]);
  // The recorder went away in good order after a while; a reset would throw away bytes that are still on their way.
  const half = http.finish === 'half' || http.finish === 'drop';
  return send(server, http.method, http.path, Object.fromEntries(query) as Record<string, string>, {
    headers: http.headers.slice(1).map(filled),
    body,
    anonymous: true,
    ...(half ? { finish: 'half' as const } : {}),
  });
}

/** Status lines and headers of all messages, as far as they do not depend on the length of an error text. */
function allHeads(message: Message | Step['expect']): string[] {
  if (message === undefined) return [];
  return [...comparable(message.head ?? []), ...allHeads(message.appended)];
}

function gotHeads(answer: Answer): string[] {
  return comparable([...answer.head, ...answer.body.toString('latin1').split('\r\n')]);
}

function comparable(lines: readonly string[]): string[] {
  return lines
    .map((line) => line.replace(/^<html>.*<\/html>/, '').replace(/^task-id:.*/, 'task-id'))
    .filter((line) => line !== '' && !line.startsWith('content-'));
}

describe('uploads recorded from the real server', () => {
  it.each(['08-put-raw', '08-put-chunked', '08-put-vhd'])(
    '%s: answers, tasks and contents are the same',
    async (name) => {
      const { steps, differing } = await replay(name, 'succeeds');
      expect(differing).toEqual([]);
      expect(steps).toBeGreaterThan(30);
    },
  );

  it('a plain raw upload that is cut short is reported as a failure by default; the disk is as damaged', async () => {
    const { differing } = await replay('08-put-raw', 'fails');
    const [half, exact, dropped] = CUT_RAW_UPLOADS;
    expect(differing).toEqual([
      `${half}: answer`,
      `${half}: task`,
      `${exact}: answer`,
      `${exact}: task`,
      `${dropped}: task`,
    ]);
  });
});
