/** agent.yaml: what it may say, and what is told of what it may not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultConfig, loadAgentConfig } from '../../lib/agent/config';
import type { AgentConfig } from '../../lib/agent/config';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'xenrepl-agent-config-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(text: string, env: NodeJS.ProcessEnv = {}): AgentConfig {
  const path = join(folder, 'agent.yaml');
  writeFileSync(path, text);
  return loadAgentConfig(path, env);
}

test('everything has a default', () => {
  expect(load('')).toEqual(defaultConfig);
  expect(load('poll: 5s\nconcurrency: { total: 9 }')).toMatchObject({
    settings: { pollMs: 5_000, concurrency: { total: 9, perPool: 2 } },
  });
});

test('secrets are named, not written, and read when they are needed', () => {
  const { channels } = load(
    `notifications:
  - webhook: { url_env: HOOK }
    on: [violation]
  - email: { host: smtp, username: u, password_file: smtp.password, from: a@b, to: [c@d] }
`,
    { HOOK: 'https://chat.example.com/secret' },
  );
  const [hook, mail] = channels;
  expect(hook).toMatchObject({ kind: 'webhook', on: ['violation'] });
  expect(hook?.kind === 'webhook' && hook.url()).toBe('https://chat.example.com/secret');
  expect(mail).toMatchObject({ kind: 'email', port: 587, on: ['violation', 'failure', 'recovery'] });
  writeFileSync(join(folder, 'smtp.password'), 'first\n', { mode: 0o600 });
  expect(mail?.kind === 'email' && mail.login?.password()).toBe('first');
  expect(JSON.stringify(channels)).not.toMatch(/secret|first/);
});

test.each([
  ['lisen: 1', /agent.yaml:1: .*lisen/],
  ['poll: 2m', /:1: poll: is not a time such as 15s/],
  ['poll: 60s', /:1: poll: is not between 1s and 30s/],
  ['\nlisten: 9464', /:2: listen: is not host:port/],
  ['concurrency: { total: 0 }', /concurrency.total: is not between 1 and 1000/],
  ['notifications: [{ on: [violation] }]', /needs exactly one of webhook, email/],
  ['notifications: [{ webhook: { url: "ftp://x" } }]', /url is not http/],
  [
    'notifications: [{ email: { host: h, username: u, from: f, to: [t] } }]',
    /needs one of password_file, password_env/,
  ],
])('%s is refused with its line', (text, wanted) => {
  expect(() => load(text)).toThrow(wanted);
});
