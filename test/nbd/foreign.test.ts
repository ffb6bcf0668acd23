import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWithTool } from '../foreign-tools';
import { certificate, joined, mib, openReader, readAll, serverAt } from './servers';

const content = Buffer.alloc(3 * mib + 512, 'a disk served by somebody else; ');
for (let at = 0; at < content.length; at += 512) content.writeUInt32BE(at, at);

/** Serves a file with a program of others, over TLS with our certificate, until the body has ended. */
async function withServer(
  command: (port: number, folder: string, file: string) => readonly [string, ...string[]],
  exportName: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nbd-foreign-'));
  const port = await freePort();
  const file = join(folder, 'disk.raw');
  writeFileSync(file, content);
  writeFileSync(join(folder, 'ca-cert.pem'), certificate.certificatePem);
  writeFileSync(join(folder, 'server-cert.pem'), certificate.certificatePem);
  writeFileSync(join(folder, 'server-key.pem'), certificate.keyPem, { mode: 0o600 });
  const [program, ...options] = command(port, folder, file);
  const child: ChildProcess = spawn(program, options, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  try {
    // Until it listens, connections are refused: the client's own bound is the wait.
    const reader = await openReader([serverAt(port, { exportName })], {
      openFailuresMax: 400,
      retryDelayMs: 50,
    });
    expect(reader.sizeBytes).toBe(content.length);
    const pieces = await readAll(reader, [{ offsetBytes: 0, lengthBytes: content.length }]);
    await reader.close();
    expect(joined(pieces).equals(content)).toBe(true);
  } finally {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describeWithTool('nbdkit', () => {
  test('its file plugin over TLS', async () => {
    await withServer(
      (port, folder, file) => [
        'nbdkit',
        '-f',
        '-r',
        '--exit-with-parent',
        '-i',
        '127.0.0.1',
        '-p',
        String(port),
        '--tls=require',
        `--tls-certificates=${folder}`,
        'file',
        file,
      ],
      '',
    );
  });
});

describeWithTool('qemu-nbd', () => {
  test('a raw image over TLS', async () => {
    await withServer(
      (port, folder, file) => [
        'qemu-nbd',
        '-r',
        '-t',
        '-e',
        '4',
        '-b',
        '127.0.0.1',
        '-p',
        String(port),
        '-x',
        'disk',
        '-f',
        'raw',
        '--object',
        `tls-creds-x509,id=tls0,endpoint=server,dir=${folder},verify-peer=off,sanity-check=off`,
        '--tls-creds',
        'tls0',
        file,
      ],
      'disk',
    );
  });
});
