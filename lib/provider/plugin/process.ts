import { ProviderServer } from '../framework/provider-server';
import type { Provider } from '../framework/resource';
import { createServerCertificate } from './certificate';
import { handshakeLine, refusal } from './handshake';
import { listen } from './listener';
import type { Listener } from './listener';
import type { Log } from './log';

/** Terraform waits this long for a plugin's first word, and kills it 2 s after asking it to end. */
const connectWithinMs = 60_000;
const closeWithinMs = 1_500;
/** Leaving before Terraform has our last answer would count as a failed shutdown, and be punished with SIGKILL. */
const hangUpWithinMs = 500;

/**
 * Runs a provider as the process that Terraform started: handshake on stdout, then calls, until Terraform asks for the
 * end, or is gone. Ends the process itself.
 */
export async function runPlugin<Configured>(provider: Provider<Configured>, log: Log): Promise<void> {
  const refused = refusal(process.env);
  if (refused !== null) {
    // Terraform shows the first line of stdout when it is not the handshake; a person reads stderr as well.
    process.stdout.write(`${refused}\n`);
    process.exitCode = 1;
    return;
  }
  const server = new ProviderServer(provider);
  const life = new PluginLife(server, log);
  life.guard();
  const clientCertificatePem = process.env['PLUGIN_CLIENT_CERT'] ?? '';
  // Without a client certificate (TF_DISABLE_PLUGIN_TLS) Terraform speaks clear text.
  const mutual =
    clientCertificatePem === ''
      ? null
      : { server: createServerCertificate(Date.now()), clientCertificatePem };
  life.listener = await listen(server, mutual, {
    onConnect: () => life.connected(),
    onShutdown: () => life.end('Terraform asked for the end'),
    onDisconnect: () => life.end('Terraform is gone'),
  });
  process.stdout.write(`${handshakeLine(life.listener.socketPath, mutual?.server.certificateDer ?? null)}\n`);
  log('debug', 'listening', { provider: provider.name });
}

class PluginLife<Configured> {
  listener: Listener | undefined;
  readonly #server: ProviderServer<Configured>;
  readonly #log: Log;
  #ending = false;
  readonly #lonely = setTimeout(() => this.end('Terraform never connected'), connectWithinMs);

  constructor(server: ProviderServer<Configured>, log: Log) {
    this.#server = server;
    this.#log = log;
  }

  /** What may happen to a process besides being asked to end. */
  guard(): void {
    // Ctrl-C reaches the whole process group; Terraform then calls StopProvider and waits for what we saved.
    process.on('SIGINT', () => undefined);
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.end(signal));
    // Once Terraform is dead its pipes are closed: without these a log line would end us before the clean-up.
    process.stdout.on('error', () => undefined);
    process.stderr.on('error', () => undefined);
    process.on('uncaughtException', (failure) => this.#panic(failure));
    process.on('unhandledRejection', (failure) => this.#panic(failure));
    process.on('exit', () => this.listener?.close());
  }

  /** From now on the connection tells whether Terraform lives. */
  connected(): void {
    clearTimeout(this.#lonely);
  }

  /** Stops running work, lets go of the pools, ends the process; within the 2 s that Terraform grants. */
  end(reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#log('debug', 'ending', { reason });
    this.#server.stop();
    setTimeout(() => process.exit(0), closeWithinMs);
    void Promise.allSettled([this.#server.close(), this.#hungUp()]).then(() => process.exit(0));
  }

  #hungUp(): Promise<unknown> {
    const patience = new Promise((resolve) => setTimeout(resolve, hangUpWithinMs));
    return Promise.race([patience, this.listener?.disconnected()]);
  }

  /** Terraform looks for the form of a Go panic on stderr and shows it; anything else it keeps to itself. */
  #panic(failure: unknown): void {
    const stack = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    process.stderr.write(`panic: ${stack}\n\ngoroutine 1 [running]:\n`);
    process.exit(2);
  }
}
