import { connect } from 'node:net';
import { MIB, NULL, PoolUnderTest, failureOf, text, type Record } from './pool-under-test';

/** On a real server five seconds: here so long that only the moved clock can end it. */
const wrongPasswordDelayMs = 3_600_000;

let pool: PoolUnderTest;
beforeAll(async () => {
  pool = await PoolUnderTest.start({ hosts: [{ name: 'host1' }, { name: 'host2' }], wrongPasswordDelayMs });
});
afterAll(() => pool.close());

interface EventReply {
  readonly events: readonly {
    readonly class: string;
    readonly operation: string;
    readonly ref: string;
    readonly id: string;
    readonly timestamp: string;
    readonly snapshot?: Record;
  }[];
  readonly valid_ref_counts: Readonly<{ [name: string]: number }>;
  readonly token: string;
}

async function events(classes: readonly string[], token: string, timeoutS = 0): Promise<EventReply> {
  return (await pool.call('event.from', [...classes], token, timeoutS)) as unknown as EventReply;
}

/** Sends bytes as they are and reads until the server closes. */
function exchange(request: string): Promise<string> {
  const { hostname, port } = new URL(pool.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.end(request));
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
    socket.on('close', () => resolve(answer)).on('error', reject);
  });
}

async function xml(method: string, params: readonly string[]): Promise<string> {
  const values = params.map((param) => `<param><value>${param}</value></param>`).join('');
  const body = `<methodCall><methodName>${method}</methodName><params>${values}</params></methodCall>`;
  const response = await fetch(`${pool.url}/`, { method: 'POST', body, headers: { connection: 'close' } });
  return response.text();
}

describe('wire', () => {
  it('quirk 14: a head of more than 1024 bytes is refused with 431', async () => {
    const head = (filler: number): string =>
      `OPTIONS /jsonrpc HTTP/1.1\r\nConnection: close\r\nX: ${'a'.repeat(filler)}\r\n\r\n`;
    const rest = head(0).length;
    expect(await exchange(head(1024 - rest))).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(await exchange(head(1025 - rest))).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large/);
  });

  it('quirk 14: a body of more than 300 KiB is refused with 500', async () => {
    const call = (length: number): string => {
      const body = `{"jsonrpc":"2.0","method":"x","params":["${'a'.repeat(length)}"],"id":1}`;
      return `POST /jsonrpc HTTP/1.1\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    };
    const frame = call(0).split('\r\n\r\n')[1]?.length ?? 0;
    expect(await exchange(call(300 * 1024 - frame))).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(await exchange(call(300 * 1024 - frame + 1))).toContain('Client_requested_size_over_limit');
  });

  it('quirk 16: ints are untyped text in XML-RPC, dates plain strings in JSON-RPC, refs unlike uuids', async () => {
    const vm = await pool.createVm();
    const memory = await xml('VM.get_memory_static_max', [pool.session, vm]);
    expect(memory).toContain(`<name>Value</name><value>${256 * MIB}</value>`);
    const host = text(((await pool.call('host.get_all')) as string[])[0]);
    expect(await pool.call('host.get_servertime', host)).toMatch(/^\d{8}T\d\d:\d\d:\d\dZ$/);
    expect(vm).not.toContain(await pool.ref('VM.get_uuid', vm));
  });

  it('quirk 22: a member sends calls to the coordinator and serves transfers with the session of the pool', async () => {
    const [coordinator, member] = pool.pool.hosts;
    const memberUrl = member?.plainUrl ?? '';
    const slave = ['HOST_IS_SLAVE', new URL(coordinator?.url ?? '').hostname];
    expect(await failureOf(pool.raw('VM.get_all', [pool.session], memberUrl))).toEqual(slave);
    const login = pool.raw('session.login_with_password', ['root', 'secret'], memberUrl);
    expect(await failureOf(login)).toEqual(slave);
    const vdi = await pool.createVdi();
    const query = `session_id=${pool.session}&vdi=${vdi}&format=raw`;
    const disk = await fetch(`${memberUrl}/export_raw_vdi?${query}`, { headers: { connection: 'close' } });
    expect((await disk.arrayBuffer()).byteLength).toBe(8 * MIB);
  });

  it('quirk 24: every host has a self-signed certificate of its own', async () => {
    const [one, other] = pool.pool.hosts;
    expect(one?.fingerprint).toMatch(/^([\dA-F]{2}:){31}[\dA-F]{2}$/);
    expect(one?.fingerprint).not.toBe(other?.fingerprint);
    const hosts = (await pool.call('host.get_all_records')) as Record;
    const pems = await Promise.all(
      Object.keys(hosts).map((ref) => pool.ref('host.get_server_certificate', ref)),
    );
    expect(new Set(pems).size).toBe(2);
  });

  it('takes 800 connections at a time, and serves the next one when one of them closes', async () => {
    const { hostname, port } = new URL(pool.url);
    const idle = await Promise.all(
      Array.from(
        { length: 800 },
        () =>
          new Promise<ReturnType<typeof connect>>((resolve) => {
            const socket = connect(Number(port), hostname, () => resolve(socket));
          }),
      ),
    );
    let answered = false;
    const last = exchange('OPTIONS / HTTP/1.1\r\nConnection: close\r\n\r\n').then((answer) => {
      answered = true;
      return answer;
    });
    // Round trips to the other host give this one every chance to answer.
    for (let trip = 0; trip < 20; trip++) {
      const { status } = await fetch(`${pool.pool.hosts[1]?.plainUrl ?? ''}/`, {
        method: 'OPTIONS',
        headers: { connection: 'close' },
      });
      expect(status).toBe(200);
    }
    expect(answered).toBe(false);
    for (const socket of idle) socket.destroy();
    expect(await last).toMatch(/^HTTP\/1\.1 200 OK/);
  });
});

describe('events', () => {
  it('quirk 17: everything is an add at first; then one event per object, lower case, with its latest state', async () => {
    const vm = await pool.createVm({ name_label: 'q17' });
    const first = await events(['VM'], '');
    expect(first.events.every(({ operation }) => operation === 'add')).toBe(true);
    await pool.call('VM.set_name_label', vm, 'one');
    await pool.call('VM.set_name_label', vm, 'two');
    const second = await events(['vm'], first.token, 5);
    expect(second.events).toHaveLength(1);
    const [event] = second.events;
    expect(event).toMatchObject({ class: 'vm', operation: 'mod', timestamp: '0.0', ref: vm });
    expect(event?.snapshot).toMatchObject({ name_label: 'two' });
    await pool.call('VM.destroy', vm);
    const [gone] = (await events(['vm'], second.token, 5)).events;
    expect(gone).not.toHaveProperty('snapshot');
    expect(gone).toMatchObject({ operation: 'del', ref: vm });
  });

  it('quirk 18: of very many deletions some are never told; only the counts show it', async () => {
    const { token: start } = await events(['network'], '');
    const made: string[] = [];
    for (let index = 0; index < 600; index++)
      made.push(await pool.ref('network.create', { name_label: `n${index}`, other_config: {} }));
    const { token, valid_ref_counts: before } = await events(['network'], start);
    for (const network of made) await pool.call('network.destroy', network);
    const after = await events(['network'], token);
    // Of 512 the newest 256 are kept, and those that came after.
    expect(after.events).toHaveLength(600 - 256);
    expect(after.events.map(({ ref }) => ref).sort()).toEqual(made.slice(256).sort());
    expect(after.valid_ref_counts['network']).toBe((before['network'] ?? 0) - 600);
  });

  it('quirk 19: a synchronous call has a task while it runs; the disks of a snapshot have theirs below it', async () => {
    const vm = await pool.createVm();
    const vdi = await pool.createVdi({ name_label: 'q19' });
    await pool.createVbd(vm, vdi);
    const { token } = await events(['task'], '');
    await pool.pool.control.addFault({
      match: { method: 'VDI.snapshot', object: vdi },
      effect: { kind: 'delay', ms: 3_600_000 },
    });
    const snapshot = pool.call('VM.snapshot', vm, 's');
    const seen = await events(['task'], token, 5);
    const [above] = seen.events.filter(({ snapshot: task }) => task?.['name_label'] === 'VM.snapshot');
    const [below] = seen.events.filter(({ snapshot: task }) => task?.['subtask_of'] === above?.ref);
    expect(below?.snapshot).toMatchObject({ name_label: 'Snapshotting disk q19' });
    await pool.pool.control.advanceClock(3_600_000);
    await snapshot;
    const { events: ends } = await events(['task'], seen.token, 5);
    expect(ends.map(({ operation }) => operation)).toEqual(['del', 'del']);
  });

  it('quirk 25: who listens to everything hears of metrics although nobody did anything', async () => {
    const { token } = await events(['*'], '');
    await pool.pool.control.advanceClock(60_000);
    const { events: heard } = await events(['*'], token, 5);
    expect(heard.map((event) => event.class)).toContain('host_metrics');
  });
});

describe('tasks', () => {
  it('quirk 20: a result is XML text even over JSON; a finished task goes 65 minutes later', async () => {
    const vm = await pool.createVm();
    const task = await pool.ref('Async.VM.clone', vm, 'clone');
    const { token } = await events([`task/${task}`], '');
    while ((await pool.call('task.get_status', task)) === 'pending') await events([`task/${task}`], token, 5);
    expect(await pool.call('task.get_result', task)).toMatch(/^<value>OpaqueRef:[\da-f-]{36}<\/value>$/);
    await pool.pool.control.advanceClock(64 * 60_000);
    expect(await pool.call('task.get_status', task)).toBe('success');
    await pool.pool.control.advanceClock(60_000);
    expect(await pool.failure('task.get_status', task)).toEqual(['HANDLE_INVALID', 'task', task]);
  });

  it('quirk 20: above 200 tasks the oldest finished ones go', async () => {
    const made: string[] = [];
    for (let index = 0; index < 210; index++) {
      made.push(await pool.ref('task.create', `t${index}`, ''));
      await pool.call('task.set_status', text(made.at(-1)), 'success');
    }
    await pool.pool.control.advanceClock(30_000);
    expect(((await pool.call('task.get_all')) as string[]).length).toBe(200);
    expect((await pool.failure('task.get_status', text(made[0])))[0]).toBe('HANDLE_INVALID');
    expect(await pool.call('task.get_status', text(made.at(-1)))).toBe('success');
    for (const task of made.slice(-200)) await pool.call('task.destroy', task);
  });

  it('quirk 23: an operation that another one holds up is slow, not refused', async () => {
    const vm = await pool.createVm();
    const vdi = await pool.createVdi();
    await pool.createVbd(vm, vdi);
    await pool.pool.control.addFault({
      match: { method: 'VDI.snapshot', object: vdi },
      effect: { kind: 'delay', ms: 3_600_000 },
    });
    const order: string[] = [];
    const snapshot = pool.call('VM.snapshot', vm, 's').then(() => order.push('snapshot'));
    await events(['vm'], (await events(['vm'], '')).token, 1);
    const destroy = pool.call('VM.destroy', vm).then(() => order.push('destroy'));
    expect(await pool.call('VM.get_power_state', vm)).toBe('Halted');
    await pool.pool.control.advanceClock(3_600_000);
    await Promise.all([snapshot, destroy]);
    expect(order).toEqual(['snapshot', 'destroy']);
  });
});

describe('sessions', () => {
  it('quirk 21: a wrong password is answered late', async () => {
    let answered = false;
    const failure = failureOf(pool.raw('session.login_with_password', ['root', 'wrong'])).finally(
      () => (answered = true),
    );
    await pool.call('VM.get_all');
    await pool.pool.control.advanceClock(wrongPasswordDelayMs / 2);
    await pool.call('VM.get_all');
    expect(answered).toBe(false);
    await pool.pool.control.advanceClock(wrongPasswordDelayMs / 2);
    expect(await failure).toEqual(['SESSION_AUTHENTICATION_FAILED', 'root', 'Authentication failure']);
  });

  it('quirk 21: a session ends after a day without a call, unless a task of it still runs', async () => {
    const idle = text(await pool.raw('session.login_with_password', ['root', 'secret']));
    const busy = text(await pool.raw('session.login_with_password', ['root', 'secret']));
    const task = text(await pool.raw('task.create', [busy, 'running', '']));
    await pool.pool.control.advanceClock(23 * 3_600_000);
    await pool.raw('task.set_progress', [busy, task, 0.5]);
    await pool.call('VM.get_all');
    await pool.pool.control.advanceClock(3_600_000);
    expect(await failureOf(pool.raw('VM.get_all', [idle]))).toEqual(['SESSION_INVALID', idle]);
    expect(await pool.raw('VM.get_all', [busy])).toEqual(expect.any(Array));
    expect(await pool.call('VM.get_all')).toEqual(expect.any(Array));
    await pool.call('task.set_status', task, 'success');
  });

  it('quirk 21: above 500 sessions of one originator the oldest ends without a word', async () => {
    const login = async (): Promise<string> =>
      text(await pool.raw('session.login_with_password', ['root', 'secret', '1.0', 'crowd']));
    const first = await login();
    for (let index = 1; index < 500; index++) await login();
    expect(await pool.raw('VM.get_all', [first])).toEqual(expect.any(Array));
    await login();
    expect(await failureOf(pool.raw('VM.get_all', [first]))).toEqual(['SESSION_INVALID', first]);
    expect(await pool.call('VM.get_all')).toEqual(expect.any(Array));
  });

  it('ends blocked calls of a session that logs out', async () => {
    const session = text(await pool.raw('session.login_with_password', ['root', 'secret']));
    const { token } = await events(['vm'], '');
    const waiting = failureOf(pool.raw('event.from', [session, ['vm'], token, 600.0]));
    await pool.call('VM.get_all');
    await pool.raw('session.logout', [session]);
    expect(await waiting).toEqual(['SESSION_INVALID', session]);
  });

  it('quirk 21, 39: a restart ends sessions and tasks; objects keep their refs, old tokens are ahead of the server', async () => {
    const vm = await pool.createVm({ name_label: 'kept' });
    const task = await pool.ref('task.create', 'lost', '');
    const { token } = await events(['vm'], '');
    const former = pool.session;
    await pool.pool.control.restartCoordinator();
    expect(await failureOf(pool.raw('VM.get_all', [former]))).toEqual(['SESSION_INVALID', former]);
    await pool.login();
    expect((await pool.failure('task.get_status', task))[0]).toBe('HANDLE_INVALID');
    await pool.call('VM.set_name_label', vm, 'changed');
    expect((await events(['vm'], token)).events).toEqual([]);
    expect((await events([`vm/${vm}`], '')).events[0]?.snapshot).toMatchObject({ name_label: 'changed' });
  });

  it('quirk 39: another coordinator has another address and the same objects', async () => {
    const vm = await pool.createVm({ name_label: 'moved' });
    const former = pool.url;
    await pool.pool.control.moveCoordinator('host2');
    expect(pool.url).not.toBe(former);
    expect((await failureOf(pool.raw('VM.get_all', [pool.session], former)))[0]).toBe('HOST_IS_SLAVE');
    await pool.login();
    expect(await pool.call('VM.get_name_label', vm)).toBe('moved');
    await pool.pool.control.moveCoordinator('host1');
    await pool.login();
    expect(await pool.call('VM.get_affinity', vm)).toBe(NULL);
  });
});
