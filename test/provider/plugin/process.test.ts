import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { createClient } from '@connectrpc/connect';
import type { Client, Transport } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { GRPCController, GRPCStdio } from '../../../lib/provider/wire/generated/plugin_pb';
import { Provider } from '../../../lib/provider/wire/generated/tfplugin6_pb';
import { createServerCertificate } from '../../../lib/provider/plugin/certificate';
import type { ServerCertificate } from '../../../lib/provider/plugin/certificate';
import { Bundle, ProviderProcess, pluginEnvironment } from './bundle';

let bundle: Bundle;
beforeAll(async () => {
  bundle = await Bundle.build();
});
afterAll(() => bundle[Symbol.dispose]());

interface Connection {
  readonly provider: Client<typeof Provider>;
  readonly controller: Client<typeof GRPCController>;
  readonly stdio: Client<typeof GRPCStdio>;
  readonly cut: () => void;
}

function clients(transport: Transport, cut: () => void): Connection {
  return {
    provider: createClient(Provider, transport),
    controller: createClient(GRPCController, transport),
    stdio: createClient(GRPCStdio, transport),
    cut,
  };
}

/** Connects as Terraform does after the handshake: over TLS where the line has a certificate, trusting no other. */
function dial(line: string, client?: ServerCertificate): Socket {
  const [, , , path = '', , certificate = ''] = line.split('|');
  if (certificate === '') return connectPlain(path);
  const ca = new X509Certificate(Buffer.from(certificate, 'base64')).toString();
  const own = client && { key: client.keyPem, cert: client.certificatePem };
  return connectTls({ path, ca, servername: 'localhost', ALPNProtocols: ['h2'], ...own });
}

function connectTo(line: string, client?: ServerCertificate): Connection {
  const baseUrl = line.endsWith('|') ? 'http://localhost' : 'https://localhost';
  const sessionManager = new Http2SessionManager(baseUrl, {}, { createConnection: () => dial(line, client) });
  return clients(createGrpcTransport({ baseUrl, sessionManager }), () => sessionManager.abort());
}

function start(env: NodeJS.ProcessEnv = {}, args: readonly string[] = []): ProviderProcess {
  return new ProviderProcess(bundle.file, { ...pluginEnvironment, ...env }, args);
}

test('what a start has to parse holds neither the engine nor its libraries', () => {
  const parsed = readFileSync(bundle.file, 'utf8').replace(/"[A-Za-z0-9+/=]{10000,}"/, '""');
  const words = ['xenrepl_job', 'ZodError', 'undici', 'OpaqueRef', 'login_with_password'];
  expect(words.filter((word) => parsed.includes(word))).toEqual(['xenrepl_job']);
});

test('started by hand it explains itself and ends', async () => {
  await using provider = new ProviderProcess(bundle.file, {});
  await expect(provider.firstLine()).resolves.toContain('required_providers');
  await expect(provider.exit()).resolves.toEqual([1, null]);
});

test('a Terraform without protocol 6 is told so', async () => {
  await using provider = start({ PLUGIN_PROTOCOL_VERSIONS: '4,5' });
  await expect(provider.firstLine()).resolves.toContain(
    'xenrepl needs plugin protocol 6, this Terraform offers 4,5',
  );
});

test('the handshake names a socket in a folder that only this user can enter', async () => {
  await using provider = start();
  const [core, protocol, network, path = '', kind, certificate] = (await provider.firstLine()).split('|');
  expect([core, protocol, network, kind, certificate]).toEqual(['1', '6', 'unix', 'grpc', '']);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
});

test('schema, then the end that Terraform asks for: answered, clean, nothing left, one line on stdout', async () => {
  await using provider = start();
  const connection = connectTo(await provider.firstLine());
  const schema = await connection.provider.getProviderSchema({});
  expect(Object.keys(schema.resourceSchemas)).toEqual(['xenrepl_job', 'xenrepl_seed']);
  expect(Object.keys(schema.dataSourceSchemas)).toEqual(['xenrepl_replicas']);
  await connection.controller.shutdown({});
  connection.cut();
  await expect(provider.exit()).resolves.toEqual([0, null]);
  expect(readdirSync(provider.tmp)).toEqual([]);
  expect(provider.stdout).toHaveLength(1);
  expect(provider.stderr).toBe('');
});

test('what is not served is answered as gRPC wants it: HTTP 404, which its clients read as UNIMPLEMENTED', async () => {
  await using provider = start();
  const [, , , path = ''] = (await provider.firstLine()).split('|');
  const session = connectHttp2('http://localhost', { createConnection: () => connectPlain(path) });
  const request = session.request({
    ':method': 'POST',
    ':path': '/tfplugin6.Provider/CallFunction',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  request.end(Buffer.alloc(5));
  const [headers] = (await once(request, 'response')) as [Record<string, unknown>];
  expect(headers[':status']).toBe(404);
  session.destroy();
});

describe('mutual TLS', () => {
  const terraform = createServerCertificate(Date.now());

  test('the client that Terraform named is served', async () => {
    await using provider = start({ PLUGIN_CLIENT_CERT: terraform.certificatePem });
    const connection = connectTo(await provider.firstLine(), terraform);
    await expect(connection.provider.getMetadata({})).resolves.toMatchObject({
      resources: [{ typeName: 'xenrepl_job' }, { typeName: 'xenrepl_seed' }],
    });
    connection.cut();
  });

  test.each([
    ['without a certificate', undefined],
    ['with another certificate', createServerCertificate(Date.now())],
  ])('a client %s is cut off before a word is said', async (_title, client) => {
    await using provider = start({ PLUGIN_CLIENT_CERT: terraform.certificatePem });
    const socket = dial(await provider.firstLine(), client);
    let heard = 0;
    socket.on('data', (chunk: Buffer) => (heard += chunk.length)).on('error', () => undefined);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    expect(heard).toBe(0);
  });
});

describe('when Terraform goes', () => {
  test('a cut connection ends the process', async () => {
    await using provider = start();
    const connection = connectTo(await provider.firstLine());
    await connection.provider.getMetadata({});
    connection.cut();
    await expect(provider.exit()).resolves.toEqual([0, null]);
    expect(readdirSync(provider.tmp)).toEqual([]);
  });

  test('the end of the stdio stream ends the process, although another connection stands', async () => {
    await using provider = start();
    const line = await provider.firstLine();
    const [watched, other] = [connectTo(line), connectTo(line)];
    await other.provider.getMetadata({});
    const stop = new AbortController();
    const stream = watched.stdio.streamStdio({}, { signal: stop.signal })[Symbol.asyncIterator]();
    const ended = stream.next().catch(() => undefined);
    await watched.provider.getMetadata({});
    stop.abort();
    await ended;
    await expect(provider.exit()).resolves.toEqual([0, null]);
    other.cut();
    watched.cut();
  });

  test('closed pipes do not stop the clean-up', async () => {
    await using provider = start({ TF_LOG: 'TRACE' });
    const connection = connectTo(await provider.firstLine());
    await connection.provider.getMetadata({});
    provider.child.stderr.destroy();
    provider.child.stdout.destroy();
    connection.cut();
    await expect(provider.exit()).resolves.toEqual([0, null]);
    expect(readdirSync(provider.tmp)).toEqual([]);
  });
});

test('Ctrl-C is left to Terraform, a termination is obeyed', async () => {
  await using provider = start();
  const connection = connectTo(await provider.firstLine());
  await connection.provider.getMetadata({});
  provider.child.kill('SIGINT');
  await expect(connection.provider.getMetadata({})).resolves.toBeDefined();
  provider.child.kill('SIGTERM');
  await expect(provider.exit()).resolves.toEqual([0, null]);
  expect(readdirSync(provider.tmp)).toEqual([]);
});

/** Loaded into the provider: breaks it once it listens. */
const defect = join(__dirname, 'defect.cjs');

test('a defect is printed in the form that Terraform shows', async () => {
  await using provider = start({ NODE_OPTIONS: `--require ${defect}` });
  await expect(provider.exit()).resolves.toEqual([2, null]);
  expect(provider.stderr).toMatch(
    /^panic: Error: something is broken\n {4}at .*\n\ngoroutine 1 \[running\]:\n$/s,
  );
});

test('logs are JSON lines as Terraform reads them, and only where somebody asked for them', async () => {
  await using provider = start({ TF_LOG: 'DEBUG' });
  const connection = connectTo(await provider.firstLine());
  await connection.controller.shutdown({});
  await provider.exit();
  const lines = provider.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>);
  expect(lines.map((line) => line['@message'])).toEqual(['listening', 'ending']);
  expect(lines[0]?.['@timestamp']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test('the same file stands in for the null provider', async () => {
  await using provider = start({}, ['--serve', 'null']);
  const connection = connectTo(await provider.firstLine());
  const schema = await connection.provider.getProviderSchema({});
  expect(Object.keys(schema.resourceSchemas)).toEqual(['null_resource']);
  expect(Object.keys(schema.dataSourceSchemas)).toEqual(['null_data_source']);
  connection.cut();
});
