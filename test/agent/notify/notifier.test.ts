/** Notices: once when something breaks, once when it is whole again, delivered to a real web and mail server. */
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Channel } from '../../../lib/agent/config';
import type { AgentEvent } from '../../../lib/agent/events';
import { Notices } from '../../../lib/agent/notify/notices';
import { Notifier } from '../../../lib/agent/notify/notifier';
import { DrivenClock, settle } from '../driven-clock';

const of = { pool: 'lyon', job: { id: 'id', name: 'nightly' } };
const failed: AgentEvent = {
  kind: 'run-failed',
  run: 'r',
  durationMs: 1,
  ...of,
  code: 'X',
  message: 'it broke',
  hint: 'mend it',
};
const report = {
  run: 'r',
  job: of.job,
  startedAtMs: 0,
  durationMs: 1,
  ok: true,
  warnings: [],
  nice: null,
  vms: [],
};
const worked: AgentEvent = { kind: 'run-ended', ...of, report, outcome: 'replicated' };
const violated: AgentEvent = {
  kind: 'violation-began',
  ...of,
  vm: { uuid: 'vm', name: 'db1' },
  rpoMs: 900_000,
  ageMs: 931_000,
  lagMs: 31_000,
  violated: true,
};

test('one notice for a streak of failures, one for its end, one for a violation', () => {
  const notices = new Notices();
  const subjects = [failed, failed, violated, failed, worked, worked].map(
    (event) => notices.of(event, 0)?.subject ?? null,
  );
  expect(subjects).toEqual([
    'Replication job "nightly" failed',
    null,
    'RPO of VM "db1" is violated',
    null,
    'Replication job "nightly" works again',
    null,
  ]);
});

test('a webhook gets JSON; one that refuses is tried three times, then told of without its address', async () => {
  const bodies: string[] = [];
  let status = 204;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hooks/secret-token`;
  const channel: Channel = { kind: 'webhook', name: 'notifications.0', on: ['violation'], url: () => url };
  const clock = new DrivenClock(0);
  const events: AgentEvent[] = [];
  const notifier = new Notifier([channel], clock, new AbortController().signal, (event) =>
    events.push(event),
  );
  notifier.take(failed);
  notifier.take(violated);
  await notifier.settled();
  expect(bodies.map((body) => JSON.parse(body) as unknown)).toMatchObject([
    {
      kind: 'violation',
      job: of.job,
      vm: { name: 'db1' },
      text: expect.stringContaining('931 s old') as string,
    },
  ]);
  status = 500;
  notifier.take(violated);
  while (events.length === 0) {
    await settle();
    await clock.advance(60_000);
  }
  expect(bodies).toHaveLength(4);
  expect(events).toEqual([
    {
      kind: 'notification-failed',
      channel: 'notifications.0.webhook',
      message: 'the webhook answered with status 500',
    },
  ]);
  expect(JSON.stringify(events)).not.toContain('secret-token');
  await new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
});

test('e-mail: plain text to everybody named; a password is not sent without TLS', async () => {
  let received = '';
  const server = createTcpServer((socket) => {
    socket.write('220 test\r\n');
    let data = false;
    socket.on('data', (chunk) => {
      const text = chunk.toString();
      received += text;
      if (data) {
        if (!received.includes('\r\n.\r\n')) return;
        data = false;
        socket.write('250 taken\r\n');
      } else if (text.startsWith('DATA')) {
        data = true;
        socket.write('354 go on\r\n');
      } else if (text.startsWith('QUIT')) socket.end('221 bye\r\n');
      else socket.write('250 ok\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const mail = {
    kind: 'email',
    name: 'notifications.0',
    on: ['violation'],
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    secure: false,
    login: null,
    sender: 'xenrepl@example.com',
    recipients: ['ops@example.com', 'dr@example.com'],
  } as const;
  const events: AgentEvent[] = [];
  const stopped = new AbortController();
  const clock = new DrivenClock(0);
  const plain = new Notifier([mail], clock, stopped.signal, (event) => events.push(event));
  plain.take(violated);
  await plain.settled();
  expect(received).toMatch(/Subject: .*RPO_of_VM_/);
  expect(received).toContain('Job "nightly" on pool "lyon" promises 900 s');
  expect(received.match(/RCPT TO/g)).toHaveLength(2);

  received = '';
  stopped.abort();
  const withLogin = { ...mail, login: { username: 'u', password: () => 'a secret password' } };
  const careful = new Notifier([withLogin], clock, stopped.signal, (event) => events.push(event));
  careful.take(violated);
  await careful.settled();
  expect(events).toMatchObject([{ kind: 'notification-failed' }]);
  expect(received).not.toContain(Buffer.from('a secret password').toString('base64'));
  expect(received).not.toMatch(/AUTH|DATA/);
  await new Promise((resolve) => server.close(resolve));
});
